package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// appleSecretTTL is how long a client secret of Apple's lives: it is made for each
// request. Apple takes six months at most.
const appleSecretTTL = 5 * time.Minute

// parseAppleKey reads the key that Apple gives as a file (.p8): PKCS #8 in PEM
// (RFC 7468), on the curve P-256.
func parseAppleKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, errors.New("is no PEM; give the file of Apple, as {file./etc/mana/AuthKey.p8}")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("is no PKCS #8 key")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("is not on the curve P-256")
	}
	return key, nil
}

// secret is what the client shows the token endpoint. Apple's is a JWT that the key
// of the developer signs (Sign in with Apple REST API, "Creating a client secret").
func (p *Provider) secret() (string, error) {
	if p.Kind != Apple {
		return p.ClientSecret, nil
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.appleKey, KeyID: p.KeyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	now := p.now()
	claims, err := json.Marshal(map[string]any{
		"iss": p.TeamID, "sub": p.ClientID, "aud": p.Issuer, "iat": now.Unix(), "exp": now.Add(appleSecretTTL).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
