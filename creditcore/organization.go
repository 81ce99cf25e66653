package creditcore

import (
	"strings"

	"mana.how/edge/internal/dbscope"
)

// organizationPrefix begins the name of every account that is an organisation's;
// no id of a user begins so.
const organizationPrefix = "org:"

// OrganizationAccount names the account of an organisation, as that of a user is
// named by their id.
func OrganizationAccount(id string) string { return organizationPrefix + id }

// OrganizationOf is the id of the organisation whose account that is, empty for
// the account of a user.
func OrganizationOf(account string) string {
	id, ok := strings.CutPrefix(account, organizationPrefix)
	if !ok {
		return ""
	}
	return id
}

// AccountOf is the account of an organisation or, where that is empty, of a user.
func AccountOf(userID, organizationID string) string {
	if organizationID != "" {
		return OrganizationAccount(organizationID)
	}
	return userID
}

// Caller is a verified user who acts on their own account or, with Organization,
// on that of an organisation, where it was checked that they may. Role is that on
// the platform.
type Caller struct{ UserID, Email, Role, Organization string }

// Account is the account that the caller acts on.
func (c Caller) Account() string { return AccountOf(c.UserID, c.Organization) }

// scope is that of who reads: of an organisation's account a plain member sees
// what they spent, owners and admins all of it, as those of the platform do.
func (c Caller) scope() dbscope.Scope {
	if c.Organization == "" {
		return dbscope.User(c.UserID, "user")
	}
	return dbscope.User(c.UserID, c.Role)
}

// clientOf is whose idempotency keys count: who spends or buys, or whose the
// account is.
func clientOf(account, spender string) string {
	if spender != "" {
		return spender
	}
	return account
}
