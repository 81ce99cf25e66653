package provider

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"mana.how/edge/authcore/principal"
)

// Identity is who a provider says somebody is. Subject is what stays the same of
// them, within the provider; the address may change. Name is for a new account.
type Identity struct {
	Provider, Subject string
	Email             string
	EmailVerified     bool
	Name              string
	// Role is nil where the provider has no say in it.
	Role *principal.Role
	// Tokens are what the provider gave for later.
	Tokens Tokens
}

// Tokens are a provider's own.
type Tokens struct {
	Access, Refresh, ID string
	AccessExpires       time.Time // zero where it is not known
	Scope               string
}

// claims are those of an ID token that matter, with all there are.
type claims struct {
	Subject         string   `json:"sub"`
	AuthorizedParty string   `json:"azp"`
	Email           string   `json:"email"`
	EmailVerified   flag     `json:"email_verified"`
	Name            string   `json:"name"`
	GivenName       string   `json:"given_name"`
	FamilyName      string   `json:"family_name"`
	AuthTime        *seconds `json:"auth_time"`

	all map[string]any
}

// flag is a boolean that some providers write as text.
type flag bool

func (f *flag) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "true", `"true"`:
		*f = true
	case "false", `"false"`, "null", `""`:
		*f = false
	default:
		return errors.New("email_verified is no boolean")
	}
	return nil
}

// seconds is a NumericDate (RFC 7519, section 2).
type seconds float64

func (s seconds) time() time.Time { return time.Unix(int64(s), 0) }

func readClaims(payload []byte) (c claims, err error) {
	if err = json.Unmarshal(payload, &c); err == nil {
		err = json.Unmarshal(payload, &c.all)
	}
	if err != nil {
		return claims{}, &Error{Claims, err}
	}
	return c, nil
}

// maxSubject is what OpenID Connect allows a subject (Core, section 2).
const maxSubject = 255

func (p *Provider) identityOf(c claims) (Identity, error) {
	if c.Subject == "" || len(c.Subject) > maxSubject || !utf8.ValidString(c.Subject) || strings.ContainsRune(c.Subject, 0) {
		return Identity{}, failf(Claims, "the subject is empty or longer than %d bytes", maxSubject)
	}
	id := Identity{Subject: c.Subject, Email: c.Email, EmailVerified: bool(c.EmailVerified) && c.Email != "", Name: c.Name}
	if id.Name == "" {
		id.Name = strings.TrimSpace(c.GivenName + " " + c.FamilyName)
	}
	if p.RoleClaim != "" {
		role := roleOf(c.all, p.RoleClaim, p.Roles)
		id.Role = &role
	}
	return id, nil
}

// roleOf is the highest role that the values of a claim give, user where none does.
func roleOf(all map[string]any, claim string, roles map[string]principal.Role) principal.Role {
	role := principal.RoleUser
	for _, value := range valuesOf(all, claim) {
		if roles[value] == principal.RoleAdmin {
			role = principal.RoleAdmin
		}
	}
	return role
}

// valuesOf are the texts of a claim: of its name or, where there is none, of the
// path that its dots write, as in realm_access.roles.
func valuesOf(all map[string]any, claim string) (values []string) {
	found, ok := all[claim]
	for rest := claim; !ok; {
		name, after, more := strings.Cut(rest, ".")
		inner, exists := all[name]
		if !exists {
			return nil
		}
		if !more {
			found = inner
			break
		}
		if all, exists = inner.(map[string]any); !exists {
			return nil
		}
		rest = after
	}
	switch found := found.(type) {
	case string:
		return []string{found}
	case []any:
		for _, v := range found {
			if text, ok := v.(string); ok {
				values = append(values, text)
			}
		}
	}
	return values
}
