package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/request"
)

// anyOrganization stands for all of them.
const anyOrganization = "any"

// inOrganization reports whether a user acts in an organisation, and in a role,
// that the gate lets pass.
func (g *Gate) inOrganization(who *request.Principal) bool {
	if who.OrganizationID == "" {
		return false
	}
	if len(g.Orgs) > 0 && !slices.Contains(g.Orgs, who.OrganizationID) && g.Orgs[0] != anyOrganization {
		return false
	}
	return len(g.OrgRoles) == 0 || slices.Contains(g.OrgRoles, who.OrganizationRole)
}

// maxOrganizationID bounds the ids that a config may name.
const maxOrganizationID = 64

// organizationFaults are what is wrong with org and org_role.
func (g *Gate) organizationFaults() (faults []error) {
	if (g.Optional || g.Off) && (len(g.Orgs) > 0 || len(g.OrgRoles) > 0) {
		faults = append(faults, errors.New("org, org_role: have no hold on the guests that pass; drop them"))
	}
	for _, id := range g.Orgs {
		switch {
		case id == anyOrganization && len(g.Orgs) > 1:
			faults = append(faults, errors.New("org: any stands for all organisations, so no other can stand beside it"))
		case id == "" || len(id) > maxOrganizationID || strings.ContainsFunc(id, notOfAnID):
			faults = append(faults, fmt.Errorf("org: %q is no id of an organisation, nor any", id))
		}
	}
	for _, role := range g.OrgRoles {
		if !organization.Role(role).Valid() {
			faults = append(faults, fmt.Errorf("org_role: %q is none of owner, admin, member", role))
		}
	}
	return faults
}

// notOfAnID holds for what no id is made of, such as the braces of a placeholder,
// which has no value where a config is read.
func notOfAnID(r rune) bool {
	return r != '-' && r != '_' && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
}
