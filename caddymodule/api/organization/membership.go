package organization

import (
	"context"
	"errors"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
)

type membershipRequest struct {
	OrganizationID string `path:"orgId" rule:"string"`
	UserID         string `path:"userId" rule:"string"`
}

type membershipResponse struct {
	Member bool              `json:"member"`
	Role   organization.Role `json:"role,omitempty"`
}

// membership tells a back end what a user is in an organisation.
func membership(ctx context.Context, c *endpoint.Call, req membershipRequest) (membershipResponse, error) {
	m, err := c.Auth.Membership(ctx, req.OrganizationID, req.UserID)
	if errors.Is(err, organization.ErrMemberNotFound) || errors.Is(err, organization.ErrNotFound) {
		return membershipResponse{}, nil
	}
	return membershipResponse{Member: err == nil, Role: m.Role}, err
}

type membershipsRequest struct {
	UserID string `path:"userId" rule:"string"`
}

type membershipsResponse struct {
	Memberships []membershipItem `json:"memberships"`
}

type membershipItem struct {
	OrganizationID string            `json:"organizationId"`
	Role           organization.Role `json:"role"`
	Name           string            `json:"name"`
	Slug           *string           `json:"slug"`
}

// memberships tells a back end where a user belongs.
func memberships(ctx context.Context, c *endpoint.Call, req membershipsRequest) (membershipsResponse, error) {
	list, err := c.Auth.Memberships(ctx, req.UserID)
	resp := membershipsResponse{Memberships: make([]membershipItem, len(list))}
	for i, m := range list {
		resp.Memberships[i] = membershipItem(m)
	}
	return resp, err
}
