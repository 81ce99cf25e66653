package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of a request (Standard Webhooks, "Webhook Headers").
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// secretPrefix is that of a symmetric secret, and secretBytes how many random bytes one
// has: 24 to 64 by the specification ("Symmetric").
const (
	secretPrefix = "whsec_"
	secretBytes  = 32
)

// newSecret makes a secret: whsec_ and base64.
func newSecret() string {
	var key [secretBytes]byte
	rand.Read(key[:])
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// sign is the value of the signature header, with a signature for each secret: v1, a
// comma, and the base64 of the HMAC-SHA256 over id, timestamp and body with full stops
// between them.
func sign(id string, at time.Time, body []byte, secrets ...string) (string, error) {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		if err != nil {
			return "", fmt.Errorf("read the secret of an endpoint: %w", err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " "), nil
}
