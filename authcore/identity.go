package authcore

import (
	"time"

	"mana.how/edge/authcore/device"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
)

// User is an account. Image, DisabledAt and DeletedAt are nil where unset.
type User struct {
	ID            string
	Name          string
	Email         string
	EmailVerified bool
	Image         *string
	Role          principal.Role
	AuthEpoch     int32 // raised by whatever ends the tokens the user holds
	CreatedAt     time.Time
	UpdatedAt     time.Time
	DisabledAt    *time.Time
	DeletedAt     *time.Time
}

// SessionKind tells how a session is carried.
type SessionKind string

const (
	// AppSession is carried by a refresh token family.
	AppSession SessionKind = "app"
	// WebSession is carried by the SSO cookie.
	WebSession SessionKind = "browser"
)

// Session is one sign-in. Its ID is the sid claim of its access tokens. Token
// is a reference without power: the cookie's token is stored as a digest only.
type Session struct {
	ID             string
	UserID         string
	Token          string
	ParentID       *string
	Kind           SessionKind
	Persistent     bool
	CreatedAt      time.Time
	UpdatedAt      time.Time
	ExpiresAt      time.Time
	LastActivityAt time.Time
	IPAddress      *string
	UserAgent      *string
	DeviceID       *string
	DeviceName     *string
	RevokedAt      *time.Time

	// ActiveOrganizationID is the organisation that the session acts in, and
	// OrganizationRole what its user is there; nil where they are a member of none.
	ActiveOrganizationID *string
	OrganizationRole     *organization.Role

	// AuthenticatedAt is when whoever holds the session last proved who they are,
	// and Methods how. What is derived from another session has that one's.
	AuthenticatedAt time.Time
	Methods         principal.Methods `db:"amr"`
}

// Device names the device a session is on: as it calls itself, else by its
// User-Agent. It is empty where neither says anything.
func (s Session) Device() string {
	switch {
	case s.DeviceName != nil && *s.DeviceName != "":
		return *s.DeviceName
	case s.UserAgent != nil:
		return device.Name(*s.UserAgent)
	}
	return ""
}

// Tokens is what a sign-in, a refresh or an exchange hands to a client.
type Tokens struct {
	User         User
	AccessToken  string
	RefreshToken string
	ExpiresIn    time.Duration
	SessionID    string
}

// BrowserSession is a live session of the SSO cookie. Renewed asks the caller
// to send the cookie again, because the session's end has moved.
type BrowserSession struct {
	Token   string // the cookie's
	Renewed bool
	entry   *cachedSession
}

// User is the account as it was when the session was read.
func (b BrowserSession) User() User { return b.entry.user() }

// Session is the session as it was when it was read.
func (b BrowserSession) Session() Session { return b.entry.session() }

// UserID is User().ID, in less time.
func (b BrowserSession) UserID() string { return b.entry.userID() }

// Registration is a sign-up. Name may be empty. ReferralCode and SourceAppURL
// are accepted for the clients that send them and are kept in the event log.
type Registration struct {
	Email        string
	Password     string
	Name         string
	ReferralCode string
	SourceAppURL string
	// RedirectTo is where the link that confirms the address leads: a checked
	// origin, or empty.
	RedirectTo string
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
