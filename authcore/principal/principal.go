// Package principal says who acts: a user, an operator, and from which device.
package principal

import (
	"net/netip"
	"slices"

	"mana.how/edge/internal/usertext"
)

// Role is what a user may do on the platform as a whole.
type Role string

// The roles there are.
const (
	RoleUser Role = "user"
	// RoleSupport sees what admins see, and changes nothing.
	RoleSupport Role = "support"
	RoleAdmin   Role = "admin"
	RoleService Role = "service"
)

// Roles are all there are.
var Roles = []Role{RoleUser, RoleSupport, RoleAdmin, RoleService}

// Valid reports whether r is a role the database knows.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Client is the device a request came from. DeviceID and DeviceName are what
// the client says of itself; they are shown to the user and never trusted.
type Client struct {
	IP         netip.Addr
	UserAgent  string
	DeviceID   string
	DeviceName string
	// Origin is the site whose page asks, empty where that is not known.
	Origin string
	// Language is the one the client prefers of those there are, as its tag (RFC
	// 5646), empty where that is not known.
	Language string
	// TrustedDevices are the tokens by which the device may be known as one that
	// needs no second factor.
	TrustedDevices []string `json:"-"`
	// Guest is the id of the wallet that the browser has as a guest, empty for none.
	Guest string `json:"-"`
}

// Caller is who acts: a user whose access token or cookie has been verified.
type Caller struct {
	UserID    string
	Email     string
	Role      Role
	SessionID string
	Client    Client
}

// Operator is who acts on the accounts of others: somebody at the command line,
// or an admin. Name and Reason go to the audit row of the account, and what an
// admin does to a row of their own, with their client.
type Operator struct {
	Name   string
	Reason string
	// UserID and Client are an admin's, empty at the command line.
	UserID string
	Client Client
}

// Network is the address as it is stored, empty where it is not known.
func (c Client) Network() string {
	if !c.IP.IsValid() {
		return ""
	}
	return c.IP.Unmap().WithZone("").String()
}

// Agent is the User-Agent cut to what is worth keeping.
func (c Client) Agent() string { return usertext.Clean(c.UserAgent, 512) }
