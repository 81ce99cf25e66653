// Package token makes and verifies access tokens: JWTs (RFC 7519) signed with
// Ed25519 (RFC 8037), and the keys that sign them.
package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

const (
	maxTokenLength = 8 << 10

	// Leeway is for iat and nbf, never for exp.
	Leeway = 30 * time.Second

	// LongestLife is the longest that an access token may live.
	LongestLife = 24 * time.Hour
)

// algorithm is the only one there is (RFC 8037, section 3.1): that of every
// key. A token that names another is refused.
func algorithm() jwa.SignatureAlgorithm { return jwa.EdDSA() }

// Sign makes a compact JWS (RFC 7515) of the claims. Times lose their
// fraction of a second. The header is alg and kid, nothing else.
func Sign(k Key, c Claims) (string, error) {
	if k.Private == nil {
		return "", errors.New("sign a token: no private key")
	}
	payload, err := c.payload()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.KeyIDKey, k.ID); err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(algorithm(), k.Private, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	if len(token) > maxTokenLength {
		return "", errors.New("sign a token: claims too long")
	}
	return string(token), nil
}

// Verify checks a compact JWS and its claims (RFC 8725): the key is the
// one the set has under the token's kid, the algorithm is the key's, issuer
// and audience are the ones given, and the time is right. Every error is or
// wraps [ErrInvalid].
func Verify(ks *KeySet, token, issuer, audience string, now time.Time) (Claims, error) {
	if len(token) > maxTokenLength || strings.ContainsFunc(token, notBase64URL) {
		return Claims{}, errMalformed
	}
	provider := keyProvider{keys: ks, now: now}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithCritValidation(true), jws.WithKeyProvider(&provider))
	switch {
	case err == nil:
	case errors.Is(err, ErrUnknownKey):
		return Claims{}, ErrUnknownKey
	case errors.Is(err, errAlgorithm):
		return Claims{}, errAlgorithm
	case errors.Is(err, jws.VerificationError()):
		return Claims{}, errSignature
	default:
		return Claims{}, errMalformed
	}
	claims, err := parseClaims(payload, audience)
	if err != nil {
		return Claims{}, err
	}
	if err := claims.check(issuer, now); err != nil {
		return Claims{}, err
	}
	claims.KeyID = provider.kid
	return claims, nil
}

// notBase64URL finds what jwx would skip over or read as base64 of another
// alphabet: a token has one spelling.
func notBase64URL(r rune) bool {
	return r != '.' && r != '-' && r != '_' && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
}

// keyProvider finds the key of a token by its kid, which it must have, and
// refuses every algorithm but that of the keys. It implements
// [jws.KeyProvider].
type keyProvider struct {
	keys *KeySet
	now  time.Time
	kid  string // of the key that was found
}

// FetchKeys implements [jws.KeyProvider].
func (p *keyProvider) FetchKeys(_ context.Context, sink jws.KeySink, signature *jws.Signature, _ *jws.Message) error {
	header := signature.ProtectedHeaders()
	if alg, ok := header.Algorithm(); !ok || alg != algorithm() {
		return errAlgorithm
	}
	kid, _ := header.KeyID()
	public, ok := p.keys.Verifier(kid, p.now)
	if !ok {
		return ErrUnknownKey
	}
	p.kid = kid
	sink.Key(algorithm(), public)
	return nil
}
