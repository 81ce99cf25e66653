package organization

import (
	"context"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
)

// invitationView is an invitation. OrganizationName is there for who is invited.
type invitationView struct {
	ID               string              `json:"id"`
	Email            string              `json:"email"`
	OrganizationID   string              `json:"organizationId"`
	OrganizationName string              `json:"organizationName,omitempty"`
	Role             organization.Role   `json:"role"`
	Status           organization.Status `json:"status"`
	InviterID        *string             `json:"inviterId"`
	ExpiresAt        endpoint.Time       `json:"expiresAt"`
	CreatedAt        endpoint.Time       `json:"createdAt"`
}

func invitationOf(i organization.Invitation) invitationView {
	return invitationView{
		ID: i.ID, Email: i.Email, OrganizationID: i.OrganizationID, Role: i.Role, Status: i.Status, InviterID: i.InviterID,
		ExpiresAt: endpoint.Time(i.ExpiresAt), CreatedAt: endpoint.Time(i.CreatedAt),
	}
}

type inviteRequest struct {
	ID string `path:"id" rule:"max=64,string"`
	// OrganizationID is what the path says, where it is sent.
	OrganizationID string `json:"organizationId" rule:"optional,max=64,string"`
	EmployeeEmail  string `json:"employeeEmail" rule:"email"`
	Role           string `json:"role" rule:"oneof=admin|member,string"`
}

func invite(ctx context.Context, c *endpoint.Call, req inviteRequest) (invitationView, error) {
	if req.OrganizationID != "" && req.OrganizationID != req.ID {
		return invitationView{}, errOtherOrganization
	}
	i, err := c.Auth.Invite(ctx, c.Caller, req.ID, req.EmployeeEmail, organization.Role(req.Role))
	return invitationOf(i), err
}

func invitations(ctx context.Context, c *endpoint.Call, req organizationPath) ([]invitationView, error) {
	all, err := c.Auth.Invitations(ctx, c.Caller, req.ID)
	out := make([]invitationView, len(all))
	for i, invitation := range all {
		out[i] = invitationOf(invitation)
	}
	return out, err
}

func ownInvitations(ctx context.Context, c *endpoint.Call, _ endpoint.None) ([]invitationView, error) {
	all, err := c.Auth.OwnInvitations(ctx, c.Caller)
	out := make([]invitationView, len(all))
	for i, invitation := range all {
		out[i] = invitationOf(invitation)
		out[i].OrganizationName = invitation.OrganizationName
	}
	return out, err
}

type acceptRequest struct {
	InvitationID string `json:"invitationId" rule:"max=64,min=1,string"`
}

// acceptedResponse has the token of the session, which acts in the organisation
// from now on.
type acceptedResponse struct {
	Invitation   invitationView   `json:"invitation"`
	Member       memberView       `json:"member"`
	Organization organizationView `json:"organization"`
	AccessToken  string           `json:"accessToken"`
	ExpiresIn    int64            `json:"expiresIn"`
}

func accept(ctx context.Context, c *endpoint.Call, req acceptRequest) (acceptedResponse, error) {
	done, err := c.Auth.AcceptInvitation(ctx, c.Caller, req.InvitationID)
	if err != nil {
		return acceptedResponse{}, err
	}
	return acceptedResponse{
		invitationOf(done.Invitation), memberOf(done.Member), viewOf(*done.Organization),
		done.AccessToken, int64(done.ExpiresIn.Seconds()),
	}, nil
}

type invitationPath struct {
	ID string `path:"id" rule:"max=64,string"`
}

func endInvitation(ctx context.Context, c *endpoint.Call, req invitationPath) (endpoint.NoContent, error) {
	_, err := c.Auth.EndInvitation(ctx, c.Caller, req.ID)
	return endpoint.NoContent{}, err
}
