package authcore

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"time"
)

const (
	// algorithm is the only one there is (RFC 8037, section 3.1). A token
	// that names another is refused, whatever its key.
	algorithm = "EdDSA"

	maxTokenLength = 8 << 10

	// leeway is for iat and nbf, never for exp.
	leeway = 30 * time.Second
)

// segments decodes the parts of a compact JWS. Strict, so that a token has
// one spelling.
var segments = base64.RawURLEncoding.Strict()

// verifyToken checks a compact JWS and its claims (RFC 8725): the key is the
// one the set has under the token's kid, the algorithm is the key's, issuer
// and audience are the ones given, and the time is right. Every error is or
// wraps [ErrInvalidToken].
func verifyToken(ks *keySet, token, issuer, audience string, now time.Time) (Claims, error) {
	input, payload, kid, signature, err := splitToken(token)
	if err != nil {
		return Claims{}, err
	}
	public, ok := ks.verifier(kid, now)
	if !ok {
		return Claims{}, errUnknownKey
	}
	if !ed25519.Verify(public, []byte(input), signature) {
		return Claims{}, errSignature
	}
	doc, err := segments.DecodeString(payload)
	if err != nil {
		return Claims{}, errMalformed
	}
	claims, err := parseClaims(doc, audience)
	if err != nil {
		return Claims{}, err
	}
	if err := claims.check(issuer, now); err != nil {
		return Claims{}, err
	}
	claims.KeyID = kid
	return claims, nil
}

// splitToken takes a token apart and reads its header. What was signed is
// input, of which payload is the encoded second part.
func splitToken(token string) (input, payload, kid string, signature []byte, err error) {
	if len(token) > maxTokenLength || strings.Count(token, ".") != 2 || strings.ContainsAny(token, "\r\n") {
		return "", "", "", nil, errMalformed
	}
	dot := strings.LastIndexByte(token, '.')
	input = token[:dot]
	encodedHeader, payload, _ := strings.Cut(input, ".")
	signature, err = segments.DecodeString(token[dot+1:])
	if err != nil {
		return "", "", "", nil, errMalformed
	}
	doc, err := segments.DecodeString(encodedHeader)
	if err != nil {
		return "", "", "", nil, errMalformed
	}
	header, err := strictObject(doc)
	if err != nil {
		return "", "", "", nil, errMalformed
	}
	alg, err := header.text("alg")
	if err != nil {
		return "", "", "", nil, errMalformed
	}
	if alg != algorithm {
		return "", "", "", nil, errAlgorithm
	}
	// Extensions must be understood to be accepted (RFC 7515, section
	// 4.1.11), and an unencoded payload is one (RFC 7797).
	if header.has("crit") || header.has("b64") {
		return "", "", "", nil, errMalformed
	}
	if !header.has("kid") {
		return "", "", "", nil, errUnknownKey
	}
	kid, err = header.text("kid")
	if err != nil {
		return "", "", "", nil, errMalformed
	}
	return input, payload, kid, signature, nil
}
