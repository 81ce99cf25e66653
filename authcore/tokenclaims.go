package authcore

import (
	"slices"
	"time"
)

// parseClaims reads the payload of a token whose signature is right. A claim
// of the wrong type fails with [ErrInvalidToken], a missing or foreign one
// with [*ClaimError].
func parseClaims(doc []byte, audience string) (Claims, error) {
	o, err := strictObject(doc)
	if err != nil {
		return Claims{}, ErrInvalidToken
	}
	for _, name := range []string{"iss", "aud", "sub", "exp", "role"} {
		if !o.has(name) {
			return Claims{}, &ClaimError{Claim: name, Missing: true}
		}
	}
	var c Claims
	var role string
	for _, claim := range []struct {
		name string
		into *string
	}{
		{"sub", &c.Subject}, {"email", &c.Email}, {"role", &role}, {"sid", &c.SessionID},
		{"org", &c.OrganizationID}, {"iss", &c.Issuer}, {"jti", &c.ID},
	} {
		if *claim.into, err = o.text(claim.name); err != nil {
			return Claims{}, ErrInvalidToken
		}
	}
	c.Role = Role(role)
	if c.EmailVerified, err = o.boolean("email_verified"); err != nil {
		return Claims{}, ErrInvalidToken
	}
	if c.AuthEpoch, err = o.integer("auth_epoch"); err != nil {
		return Claims{}, ErrInvalidToken
	}
	for _, claim := range []struct {
		name string
		into *time.Time
	}{{"exp", &c.Expires}, {"iat", &c.IssuedAt}, {"nbf", &c.NotBefore}} {
		if *claim.into, err = o.date(claim.name); err != nil {
			return Claims{}, ErrInvalidToken
		}
	}
	audiences, err := o.texts("aud")
	if err != nil {
		return Claims{}, ErrInvalidToken
	}
	if !slices.Contains(audiences, audience) {
		return Claims{}, &ClaimError{Claim: "aud"}
	}
	c.Audience = audience
	return c, nil
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
	case c.IssuedAt.After(now.Add(leeway)):
		return &ClaimError{Claim: "iat"}
	case c.NotBefore.After(now.Add(leeway)):
		return &ClaimError{Claim: "nbf"}
	case !now.Before(c.Expires):
		return ErrTokenExpired
	case c.Expires.After(now.Add(longestAccessToken + leeway)):
		return &ClaimError{Claim: "exp"}
	}
	return nil
}
