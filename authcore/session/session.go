package session

import (
	"time"

	"mana.how/edge/authcore/device"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
)

// Kind tells how a session is carried.
type Kind string

const (
	// App is carried by a refresh token family.
	App Kind = "app"
	// Web is carried by the SSO cookie.
	Web Kind = "browser"
	// Client is held by a client of the OpenID provider.
	Client Kind = "client"
)

// Session is one sign-in. Its ID is the sid claim of its access tokens. Token
// is a reference without power: the cookie's token is stored as a digest only.
type Session struct {
	ID             string
	UserID         string
	Token          string
	ParentID       *string
	Kind           Kind
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

	// ClientID is the OpenID client that holds a Client, nil for others, and
	// Scopes what it was granted, separated by blanks.
	ClientID *string
	Scopes   string

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
