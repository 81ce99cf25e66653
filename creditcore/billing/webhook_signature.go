package billing

import (
	"crypto/hmac"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"
)

// tolerance is how far the time of a signature may lie from ours, before or
// after.
const tolerance = 300 * time.Second

// verified checks a Stripe-Signature header, "t=<unix>,v1=<hex>,…", over the
// raw body: one v1 signature must be the HMAC-SHA256 of "t.body" under one of
// the secrets.
func verified(payload []byte, header string, secrets []string, now time.Time) bool {
	at, signatures, ok := parseSignature(header)
	if !ok {
		return false
	}
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return false
	}
	found := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := webhook.ComputeSignature(at, payload, secret)
		for _, signature := range signatures {
			found = hmac.Equal(want, signature) || found
		}
	}
	return found
}

// parseSignature reads the one time and the v1 signatures; other schemes are
// skipped.
func parseSignature(header string) (at time.Time, signatures [][]byte, ok bool) {
	times := 0
	for pair := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch name {
		case "t":
			unix, err := strconv.ParseInt(value, 10, 64)
			if err != nil || unix < 0 || unix > 1<<40 {
				return at, nil, false
			}
			at = time.Unix(unix, 0)
			times++
		case "v1":
			if signature, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, signature)
			}
		}
	}
	return at, signatures, times == 1 && len(signatures) > 0
}
