// Package token makes and verifies access tokens: JWTs (RFC 7519) signed with
// Ed25519 (RFC 8037), and the keys that sign them.
package token

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
)

const (
	maxTokenLength = 8 << 10

	// Leeway is for iat and nbf, never for exp.
	Leeway = 30 * time.Second

	// LongestLife is the longest that an access token may live.
	LongestLife = 24 * time.Hour
)

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
	token, err := SignPayload(k, "", payload)
	if err == nil && len(token) > maxTokenLength {
		err = errors.New("sign a token: claims too long")
	}
	if err != nil {
		return "", err
	}
	return token, nil
}

// SignPayload makes a compact JWS of a payload. Its header is alg, kid and, where it
// is not empty, typ (RFC 7515, section 4.1.9). The parts are put together here: the
// library's own way to do so costs as much as the signature, which gates wait for.
func SignPayload(k Key, typ string, payload []byte) (string, error) {
	if k.Private == nil {
		return "", errors.New("sign a token: no private key")
	}
	header, err := json.Marshal(signedHeader{string(k.Algorithm), k.ID, typ})
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	input := jwsbb.SignBuffer(nil, header, payload, base64.RawURLEncoding, true)
	signature, err := jwsbb.Sign(k.Private, string(k.Algorithm), input, rand.Reader)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return string(input) + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signedHeader is the protected header of what is signed, its members in order.
type signedHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ,omitempty"`
}

// VerifyPayload checks the signature of a compact JWS by whatever key of the set it
// names, which must not be gone, and returns the payload and the header. Claims are for
// the caller to check. Every error is or wraps [ErrInvalid].
func VerifyPayload(ks *KeySet, token string, now time.Time) (payload []byte, head Header, err error) {
	if len(token) > maxTokenLength || strings.ContainsFunc(token, notBase64URL) {
		return nil, Header{}, errMalformed
	}
	provider := keyProvider{keys: ks, now: now, any: true}
	if payload, err = jws.Verify([]byte(token), jws.WithCompact(), jws.WithCritValidation(true), jws.WithKeyProvider(&provider)); err != nil {
		return nil, Header{}, faultOf(err)
	}
	return payload, provider.head, nil
}

// Header is what the protected header of a token says beside the algorithm, which is its
// key's (RFC 7515, section 4.1).
type Header struct{ KeyID, Type string }

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
	if err != nil {
		return Claims{}, faultOf(err)
	}
	if !mayBeAccessToken(provider.head.Type) {
		return Claims{}, errType
	}
	claims, err := parseClaims(payload, audience)
	if err != nil {
		return Claims{}, err
	}
	if err := claims.check(issuer, now); err != nil {
		return Claims{}, err
	}
	claims.KeyID = provider.head.KeyID
	return claims, nil
}

// VerifyForeign is [Verify] for a token of another issuer, signed by a key of ks.
// Organisation, scopes, epoch and proofs are its business alone and left out.
func VerifyForeign(ks *KeySet, token, issuer, audience string, now time.Time) (Claims, error) {
	c, err := Verify(ks, token, issuer, audience, now)
	if err != nil {
		return Claims{}, err
	}
	return Claims{
		Subject: c.Subject, Email: c.Email, Role: c.Role, SessionID: c.SessionID, Issuer: c.Issuer, Audience: c.Audience,
		ID: c.ID, IssuedAt: c.IssuedAt, Expires: c.Expires, NotBefore: c.NotBefore, KeyID: c.KeyID,
	}, nil
}

// IssuerOf is the iss claim of a token as it stands there: nothing has verified it.
func IssuerOf(token string) string {
	if len(token) > maxTokenLength {
		return ""
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	doc, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(doc, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// mayBeAccessToken reports whether the typ of a header is that of users' access tokens, or
// says nothing (RFC 8725, section 3.11): nothing else that is signed passes for one.
func mayBeAccessToken(typ string) bool { return typ == "" || strings.EqualFold(typ, "JWT") }

// faultOf words what the library found wrong with a token.
func faultOf(err error) error {
	switch {
	case errors.Is(err, ErrUnknownKey):
		return ErrUnknownKey
	case errors.Is(err, errAlgorithm):
		return errAlgorithm
	case errors.Is(err, jws.VerificationError()):
		return errSignature
	}
	return errMalformed
}

// notBase64URL finds what jwx would skip over or read as base64 of another
// alphabet: a token has one spelling.
func notBase64URL(r rune) bool {
	return r != '.' && r != '-' && r != '_' && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
}

// keyProvider finds the key of a token by its kid, which it must have, and
// refuses every algorithm but that of the key: Ed25519, unless any is set. It
// implements [jws.KeyProvider].
type keyProvider struct {
	keys *KeySet
	now  time.Time
	any  bool
	head Header // with the id of the key that was found
}

// FetchKeys implements [jws.KeyProvider].
func (p *keyProvider) FetchKeys(_ context.Context, sink jws.KeySink, signature *jws.Signature, _ *jws.Message) error {
	header := signature.ProtectedHeaders()
	kid, _ := header.KeyID()
	k, ok := p.keys.Key(kid, p.now)
	want := EdDSA
	if p.any && ok {
		want = k.Algorithm
	}
	if alg, named := header.Algorithm(); !named || alg != want.jwa() {
		return errAlgorithm
	}
	if !ok || k.Algorithm != want {
		return ErrUnknownKey
	}
	p.head.KeyID = kid
	p.head.Type, _ = header.Type()
	sink.Key(want.jwa(), k.Public)
	return nil
}
