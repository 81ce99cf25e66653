package authcore

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// object is a JSON object whose members are not read yet. Their names are
// exact: no other case stands for them.
type object map[string]json.RawMessage

var errNotStrict = errors.New("not a plain JSON object")

// strictObject reads one JSON object in UTF-8 and nothing after it. A name
// that stands twice is an error, for parsers differ in which one they take.
func strictObject(doc []byte) (object, error) {
	if !utf8.Valid(doc) {
		return nil, errNotStrict
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotStrict
	}
	o := make(object, 12)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errNotStrict
		}
		text, ok := name.(string)
		if _, twice := o[text]; !ok || twice {
			return nil, errNotStrict
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNotStrict
		}
		o[text] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotStrict
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotStrict
	}
	return o, nil
}

func (o object) has(name string) bool { _, ok := o[name]; return ok }

// text reads a string. It is empty where there is none; null is no string.
func (o object) text(name string) (string, error) {
	value, ok := o[name]
	if !ok {
		return "", nil
	}
	if len(value) == 0 || value[0] != '"' {
		return "", errNotStrict
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", errNotStrict
	}
	return s, nil
}

// texts reads a string or a list of strings.
func (o object) texts(name string) ([]string, error) {
	value := o[name]
	if len(value) == 0 || value[0] != '[' {
		s, err := o.text(name)
		return []string{s}, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, errNotStrict
	}
	list := make([]string, len(items))
	for i, item := range items {
		s, err := object{"": item}.text("")
		if err != nil {
			return nil, err
		}
		list[i] = s
	}
	return list, nil
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// date reads a NumericDate (RFC 7519, section 2); its fraction counts. It is
// zero where there is none.
func (o object) date(name string) (time.Time, error) {
	value, ok := o[name]
	if !ok {
		return time.Time{}, nil
	}
	if len(value) == 0 || value[0] == 'n' {
		return time.Time{}, errNotStrict
	}
	var f float64
	if err := json.Unmarshal(value, &f); err != nil || f < 0 || f > lastSecond {
		return time.Time{}, errNotStrict
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

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
	}
	return nil
}
