package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v3/jwt"

	"mana.how/edge/authcore/principal"
)

// The claims of the contract that RFC 7519 does not register.
const (
	emailClaim        = "email"
	verifiedClaim     = "email_verified"
	roleClaim         = "role"
	sessionClaim      = "sid"
	epochClaim        = "auth_epoch"
	organizationClaim = "org"
	orgRoleClaim      = "org_role"
	authTimeClaim     = "auth_time"
	methodsClaim      = "amr"
)

// payload is the JSON of the claims, in ASCII, because browsers read it with
// atob.
func (c Claims) payload() ([]byte, error) {
	b := jwt.NewBuilder().
		Subject(c.Subject).Issuer(c.Issuer).Audience([]string{c.Audience}).JwtID(c.ID).
		IssuedAt(c.IssuedAt).Expiration(c.Expires).
		Claim(emailClaim, c.Email).Claim(verifiedClaim, c.EmailVerified).Claim(roleClaim, string(c.Role)).
		Claim(sessionClaim, c.SessionID).Claim(epochClaim, c.AuthEpoch)
	if !c.NotBefore.IsZero() {
		b.NotBefore(c.NotBefore)
	}
	if !c.AuthTime.IsZero() {
		b.Claim(authTimeClaim, c.AuthTime.Unix())
	}
	if c.Methods != "" {
		b.Claim(methodsClaim, c.Methods.List())
	}
	if c.OrganizationID != "" {
		b.Claim(organizationClaim, c.OrganizationID)
	}
	if c.OrganizationRole != "" {
		b.Claim(orgRoleClaim, c.OrganizationRole)
	}
	t, err := b.Build()
	if err != nil {
		return nil, err
	}
	t.Options().Enable(jwt.FlattenAudience)
	doc, err := json.Marshal(t)
	return ascii(doc), err
}

// ascii writes every character of a JSON document above U+007F as \u escapes
// (RFC 8259, section 7).
func ascii(doc []byte) []byte {
	plain := make([]byte, 0, len(doc))
	for _, r := range string(doc) {
		switch {
		case r < utf8.RuneSelf:
			plain = append(plain, byte(r))
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			plain = fmt.Appendf(plain, `\u%04x\u%04x`, high, low)
		default:
			plain = fmt.Appendf(plain, `\u%04x`, r)
		}
	}
	return plain
}

// parseClaims reads the payload of a token whose signature is right. A claim
// of the wrong type fails with [ErrInvalid], a missing or foreign one
// with [*ClaimError].
func parseClaims(doc []byte, audience string) (Claims, error) {
	t := jwt.New()
	if err := json.Unmarshal(doc, t); err != nil {
		return Claims{}, ErrInvalid
	}
	for _, name := range []string{jwt.IssuerKey, jwt.AudienceKey, jwt.SubjectKey, jwt.ExpirationKey, roleClaim} {
		if !t.Has(name) {
			return Claims{}, &ClaimError{Claim: name, Missing: true}
		}
	}
	var c Claims
	var role string
	var epoch, authTime float64
	var methods []any
	var audiences []string
	err := errors.Join(
		get(t, jwt.SubjectKey, &c.Subject), get(t, jwt.IssuerKey, &c.Issuer), get(t, jwt.JwtIDKey, &c.ID),
		get(t, jwt.AudienceKey, &audiences),
		get(t, jwt.ExpirationKey, &c.Expires), get(t, jwt.IssuedAtKey, &c.IssuedAt), get(t, jwt.NotBeforeKey, &c.NotBefore),
		get(t, emailClaim, &c.Email), get(t, verifiedClaim, &c.EmailVerified), get(t, roleClaim, &role),
		get(t, sessionClaim, &c.SessionID), get(t, epochClaim, &epoch), get(t, organizationClaim, &c.OrganizationID), get(t, orgRoleClaim, &c.OrganizationRole),
		get(t, authTimeClaim, &authTime), get(t, methodsClaim, &methods))
	if err != nil || !isWhole(epoch, math.MaxInt32) || !isWhole(authTime, math.MaxUint32) {
		return Claims{}, ErrInvalid
	}
	if !slices.Contains(audiences, audience) {
		return Claims{}, &ClaimError{Claim: "aud"}
	}
	c.Role, c.AuthEpoch, c.Audience = principal.Role(role), int32(epoch), audience
	if authTime > 0 {
		c.AuthTime = time.Unix(int64(authTime), 0)
	}
	list := make([]principal.Method, 0, len(methods))
	for _, m := range methods {
		name, ok := m.(string)
		if !ok {
			return Claims{}, ErrInvalid
		}
		list = append(list, principal.Method(name))
	}
	c.Methods = principal.MethodsOf(list...)
	return c, nil
}

// isWhole reports whether a number of JSON is an integer from 0 to most.
func isWhole(n, most float64) bool { return n >= 0 && n <= most && n == math.Trunc(n) }

// get reads a claim that the token may lack.
func get[T any](t jwt.Token, name string, into *T) error {
	if !t.Has(name) {
		return nil
	}
	return t.Get(name, into)
}

// check pins the issuer and compares the times with now.
func (c Claims) check(issuer string, now time.Time) error {
	switch {
	case c.Issuer != issuer:
		return &ClaimError{Claim: "iss"}
	case c.Subject == "":
		return &ClaimError{Claim: "sub"}
	case !c.Role.Valid():
		return &ClaimError{Claim: "role"}
	case c.IssuedAt.After(now.Add(Leeway)):
		return &ClaimError{Claim: "iat"}
	case c.NotBefore.After(now.Add(Leeway)):
		return &ClaimError{Claim: "nbf"}
	case !now.Before(c.Expires):
		return ErrExpired
	case c.Expires.After(now.Add(LongestLife + Leeway)):
		return &ClaimError{Claim: "exp"}
	}
	return nil
}
