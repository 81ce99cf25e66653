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
}

// PrincipalOf is the user whom a verified access token names.
func PrincipalOf(c *token.Claims) Principal {
	return Principal{
		Kind: User, UserID: c.Subject, SessionID: c.SessionID,
		Email: c.Email, EmailVerified: c.EmailVerified, Role: c.Role,
		OrganizationID: c.OrganizationID, OrganizationRole: c.OrganizationRole,
		AuthTime: c.AuthTime, Methods: c.Methods,
	}
}
