package endpoint

import (
	"context"
	"errors"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
)

// What callers are told who ask for the account of an organisation. Outsiders
// learn no more than where there is none.
var (
	ErrOrganizationNotFound = &Error{Status: 404, Code: "ORGANIZATION_NOT_FOUND", Message: "Organization not found"}
	ErrOrganizationRole     = &Error{Status: 403, Code: "FORBIDDEN", Message: "Only owners and admins of the organization may do this"}
)

// Payer is the caller as the ledger knows them.
func (c *Call) Payer() creditcore.Caller {
	return creditcore.Caller{UserID: c.UserID, Email: c.Email, Role: string(c.Role)}
}

// ReadFor is the caller who reads the account of an organisation, as a member, or
// as an admin of the platform, and their role there; with an empty id it is their
// own account. It fails with [ErrOrganizationNotFound].
func (c *Call) ReadFor(ctx context.Context, organizationID string) (creditcore.Caller, organization.Role, error) {
	payer := c.Payer()
	if organizationID == "" {
		return payer, "", nil
	}
	payer.Organization = organizationID
	m, err := c.Auth.Membership(ctx, organizationID, c.UserID)
	if errors.Is(err, organization.ErrMemberNotFound) && c.Role == principal.RoleAdmin {
		_, err = c.Auth.Organization(ctx, c.Caller, organizationID)
	}
	if errors.Is(err, organization.ErrMemberNotFound) || errors.Is(err, organization.ErrNotFound) {
		err = ErrOrganizationNotFound
	}
	return payer, m.Role, err
}

// ManageFor is the caller who acts for an organisation, as an owner or admin of
// it; with an empty id it is their own account. It fails with
// [ErrOrganizationNotFound] or [ErrOrganizationRole].
func (c *Call) ManageFor(ctx context.Context, organizationID string) (creditcore.Caller, error) {
	payer, role, err := c.ReadFor(ctx, organizationID)
	if err == nil && organizationID != "" && !role.Manages() {
		err = ErrOrganizationRole
	}
	return payer, err
}
