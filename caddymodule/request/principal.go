package request

import (
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// Kind is what sort of caller a request acts for.
type Kind string

const (
	// Guest is a caller that nobody has authenticated.
	Guest Kind = ""
	// User is a person with an account.
	User Kind = "user"
	// Key is a program that acts for a user by an API key.
	Key Kind = "key"
)

// Principal is who a request acts for. The zero value is a guest.
type Principal struct {
	Kind          Kind
	UserID        string
	SessionID     string
	Email         string
	EmailVerified bool
	Role          principal.Role
	// AuthTime is when they last proved who they are, zero where that is not
	// known, and Methods how.
	AuthTime time.Time
	Methods  principal.Methods
	// OrganizationID is the active organisation of the session, and
	// OrganizationRole what the user is there; both are empty where it has none.
	OrganizationID, OrganizationRole string
	// KeyID is the API key and ClientID the OpenID client that acts for the user, and
	// Scopes what either may do. All are empty for users themselves.
	KeyID, ClientID string
	Scopes          principal.Scopes
}

// Delegated reports whether a program acts for the user, which may do what its scopes
// allow.
func (p *Principal) Delegated() bool { return p.Kind == Key || p.ClientID != "" }

// PrincipalOf is the user whom a verified access token names, or the key that it
// was made for, which has no session.
func PrincipalOf(c *token.Claims) Principal {
	p := Principal{
		Kind: User, UserID: c.Subject, SessionID: c.SessionID,
		Email: c.Email, EmailVerified: c.EmailVerified, Role: c.Role,
		OrganizationID: c.OrganizationID, OrganizationRole: c.OrganizationRole,
		AuthTime: c.AuthTime, Methods: c.Methods,
	}
	if c.APIKeyID != "" {
		p.Kind, p.SessionID, p.KeyID, p.Scopes = Key, "", c.APIKeyID, c.Scopes
	}
	return p
}
