package authcore

import (
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/verifier"
)

// User is an account.
type User = account.User

// Session is one sign-in.
type Session = session.Session

// SessionKind tells how a session is carried.
type SessionKind = session.Kind

// The kinds of sessions.
const (
	AppSession    = session.App
	WebSession    = session.Web
	ClientSession = session.Client
)

// StoredToken is what auth.sessions holds for a cookie's token, and for a refresh
// token of the replaced service.
func StoredToken(token string) string { return session.StoredToken(token) }

// BrowserSession is a live session of the SSO cookie.
type BrowserSession = verifier.BrowserSession

// APIKey is a live key that was shown.
type APIKey = verifier.APIKey

// Tokens is what a sign-in, a refresh or an exchange hands to a client.
type Tokens struct {
	User         User
	AccessToken  string
	RefreshToken string
	ExpiresIn    time.Duration
	SessionID    string
}

// Registration is a sign-up. Name may be empty. ReferralCode and SourceAppURL
// are accepted for the clients that send them and are kept in the event log.
type Registration struct {
	Email        string
	Password     string
	Name         string
	ReferralCode string
	SourceAppURL string
	// Invitation is the token of one, or empty.
	Invitation string
	// RedirectTo is where the link that confirms the address leads: a checked
	// origin, or empty.
	RedirectTo string
	// ReturnTo is where the user was on the way to when they met the page that they
	// registered on: a checked target, or empty.
	ReturnTo string
}

// OrganizationRegistration is a sign-up of an organisation with its owner.
type OrganizationRegistration struct {
	Registration
	Organization string // its name
}

// ProfileChange names the fields to change; nil leaves a field alone.
type ProfileChange struct {
	Name  *string
	Image *string
}

// SignOut names what to end: the session of a verified access token, the
// family of a refresh token, the sessions of cookies. Any may be empty.
type SignOut struct {
	SessionID    string
	RefreshToken string
	CookieTokens []string
	// AppOnly leaves the browser session alone that an app's session was derived
	// from, and its other apps.
	AppOnly bool
}

// NewUser is an account made by an operator.
type NewUser struct {
	Email    string
	Password string
	Name     string
	Role     principal.Role
	Verified bool
}

// UserQuery pages through users, newest first. Search matches a part of the
// e-mail address or the name. Limit is 1 to 1000, 100 where zero.
type UserQuery struct {
	Search string
	Limit  int
	Offset int
}
