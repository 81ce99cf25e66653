package organization

import (
	"context"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
)

// memberView is a member with their account.
type memberView struct {
	ID             string            `json:"id"`
	OrganizationID string            `json:"organizationId"`
	UserID         string            `json:"userId"`
	Role           organization.Role `json:"role"`
	CreatedAt      endpoint.Time     `json:"createdAt"`
	User           memberUser        `json:"user"`
}

type memberUser struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Email string  `json:"email"`
	Image *string `json:"image"`
}

func memberOf(m organization.Member) memberView {
	return memberView{
		ID: m.ID, OrganizationID: m.OrganizationID, UserID: m.UserID, Role: m.Role, CreatedAt: endpoint.Time(m.CreatedAt),
		User: memberUser{ID: m.UserID, Name: m.Name, Email: m.Email, Image: m.Image},
	}
}

func members(ctx context.Context, c *endpoint.Call, req organizationPath) ([]memberView, error) {
	all, err := c.Auth.Members(ctx, c.Caller, req.ID)
	out := make([]memberView, len(all))
	for i, m := range all {
		out[i] = memberOf(m)
	}
	return out, err
}

// memberPath names a member by id or address.
type memberPath struct {
	ID       string `path:"id" rule:"max=64,string"`
	MemberID string `path:"memberId" rule:"max=254,string"`
}

type memberRemovedResponse struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

func removeMember(ctx context.Context, c *endpoint.Call, req memberPath) (memberRemovedResponse, error) {
	return memberRemovedResponse{true, "Member removed successfully"}, c.Auth.RemoveMember(ctx, c.Caller, req.ID, req.MemberID)
}

type setRoleRequest struct {
	ID       string `path:"id" rule:"max=64,string"`
	MemberID string `path:"memberId" rule:"max=254,string"`
	Role     string `json:"role" rule:"oneof=admin|member,string"`
}

func setRole(ctx context.Context, c *endpoint.Call, req setRoleRequest) (memberView, error) {
	m, err := c.Auth.SetMemberRole(ctx, c.Caller, req.ID, req.MemberID, organization.Role(req.Role))
	return memberOf(m), err
}

type transferRequest struct {
	ID string `path:"id" rule:"max=64,string"`
	// MemberID is the id in the organisation, or the address, of who is to own it.
	MemberID string `json:"memberId" rule:"max=254,string"`
	Keep     *bool  `json:"keep" rule:"optional"`
}

func transfer(ctx context.Context, c *endpoint.Call, req transferRequest) (memberView, error) {
	m, err := c.Auth.TransferOrganization(ctx, c.Caller, req.ID, req.MemberID, req.Keep != nil && *req.Keep)
	return memberOf(m), err
}
