// Package organization has the routes of organisations, of their members and
// invitations, and of the sign-up of one with its owner.
//
// Who is not a member is told of an organisation what they would be told of one
// that is not there. Admins of the platform read all, and change none that they
// are no member of.
package organization

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

// Config is what an admin decides of these routes.
type Config struct {
	// RegistrationClosed refuses everybody an account.
	RegistrationClosed bool
	// Ledger finds the live core of credits, and Sells reports whether they can be
	// bought.
	Ledger func(context.Context) (*creditcore.Service, error)
	Sells  func(context.Context) (bool, error)
}

// What the core says, for clients.
var (
	errNotFound           = &endpoint.Error{Status: 404, Code: "ORGANIZATION_NOT_FOUND", Message: "Organization not found"}
	errNotMember          = &endpoint.Error{Status: 404, Code: "ORGANIZATION_NOT_FOUND", Message: "Organization not found or you are not a member"}
	errMemberNotFound     = &endpoint.Error{Status: 404, Code: "MEMBER_NOT_FOUND", Message: "Member not found"}
	errInvitationNotFound = &endpoint.Error{Status: 404, Code: "INVITATION_NOT_FOUND", Message: "Invitation not found or expired"}
	errNoInvitation       = &endpoint.Error{Status: 404, Code: "INVITATION_NOT_FOUND", Message: "Invitation not found"}
	errNotRecipient       = &endpoint.Error{Status: 403, Code: "NOT_RECIPIENT", Message: "You are not the recipient of this invitation"}
	errOwnerRole          = &endpoint.Error{Status: 403, Code: "OWNER_ROLE", Message: "Cannot change the owner's role"}
	errLastOwner          = &endpoint.Error{Status: 409, Code: "LAST_OWNER", Message: "The last owner cannot leave the organization"}
	errAlreadyMember      = &endpoint.Error{Status: 400, Code: "ALREADY_MEMBER", Message: "User is already a member of this organization"}
	errAlreadyInvited     = &endpoint.Error{Status: 400, Code: "ALREADY_INVITED", Message: "User is already invited to this organization"}
	errFull               = &endpoint.Error{Status: 409, Code: "ORGANIZATION_FULL", Message: "An organization has 100 members at most"}
	errNoSeat             = &endpoint.Error{Status: 409, Code: "NO_FREE_SEAT", Message: "The organization pays for no more seats than it has members and invitations"}
	errTooManyInvited     = &endpoint.Error{Status: 409, Code: "TOO_MANY_INVITATIONS", Message: "An organization has 100 pending invitations at most"}
	errTooMany            = &endpoint.Error{Status: 409, Code: "TOO_MANY_ORGANIZATIONS", Message: "A user owns 10 organizations at most"}
	errSlugTaken          = &endpoint.Error{Status: 409, Code: "SLUG_TAKEN", Message: "An organization with this slug already exists"}
	errOwnerExists        = &endpoint.Error{Status: 409, Code: "EMAIL_TAKEN", Message: "Owner email already exists"}
	errInvalid            = &endpoint.Error{Status: 400, Code: "INVALID_INPUT", Message: "Invalid input"}
	errOtherOrganization  = &endpoint.Error{Status: 400, Code: "INVALID_INPUT", Message: "organizationId must be that of the path"}
	errTooManyMails       = endpoint.AnswerTo(challenge.ErrTooMany)
)

// forbidden is the refusal of a role, in the words of a route.
func forbidden(text string) *endpoint.Error {
	return &endpoint.Error{Status: 403, Code: "FORBIDDEN", Message: text}
}

// rule is what is common to the routes of organisations.
func rule(summary string, status int, mappings []endpoint.Mapping, errs ...*endpoint.Error) endpoint.Rule {
	for _, m := range mappings {
		errs = append(errs, m.Answer)
	}
	return endpoint.Rule{Summary: summary, Status: status, Access: endpoint.User, Limit: endpoint.UserLimit, Mappings: mappings, Errors: errs}
}

// Routes are those of organisations.
func Routes(cfg Config) []endpoint.Route {
	var closed *endpoint.Error
	if cfg.RegistrationClosed {
		closed = endpoint.ErrRegistrationClosed
	}
	const v1, at = "/api/v1/auth", "/api/v1/auth/organizations"
	notFound := endpoint.Mapping{Err: organization.ErrNotFound, Answer: errNotFound}
	memberNotFound := endpoint.Mapping{Err: organization.ErrMemberNotFound, Answer: errMemberNotFound}
	lastOwner := endpoint.Mapping{Err: organization.ErrLastOwner, Answer: errLastOwner}
	invalid := endpoint.Mapping{Err: organization.ErrInvalidInput, Answer: errInvalid}
	full := endpoint.Mapping{Err: organization.ErrFull, Answer: errFull}
	noSeat := endpoint.Mapping{Err: organization.ErrNoSeat, Answer: errNoSeat}
	alreadyMember := endpoint.Mapping{Err: organization.ErrAlreadyMember, Answer: errAlreadyMember}
	// Of routes whose contract knows no 404, outsiders are told what members are.
	refused := func(text string) []endpoint.Mapping {
		return []endpoint.Mapping{{Err: organization.ErrForbidden, Answer: forbidden(text)}, {Err: organization.ErrNotFound, Answer: forbidden(text)}}
	}
	refusedOrNotFound := func(text string, more ...endpoint.Mapping) []endpoint.Mapping {
		return append([]endpoint.Mapping{{Err: organization.ErrForbidden, Answer: forbidden(text)}, notFound}, more...)
	}
	unverified := endpoint.AnswersTo(authcore.ErrEmailNotVerified, authcore.ErrUserNotFound)
	return append(pageRoutes(cfg), []endpoint.Route{
		endpoint.Post(v1+"/register/b2b", endpoint.Handle(registerB2B), endpoint.Rule{Summary: "Make an account and an organization that it owns",
			Status: http.StatusCreated, Access: endpoint.Anyone, Limit: endpoint.PerMinute(3), Closed: closed,
			ProofOfWork: true, Headers: endpoint.WorkHeaders,
			Mappings: []endpoint.Mapping{{Err: authcore.ErrEmailTaken, Answer: errOwnerExists},
				{Err: authcore.ErrInvalidInput, Answer: endpoint.Invalid("ownerEmail must be an email")}, invalid},
			Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff, password.ErrBusy), errOwnerExists, endpoint.ErrRegistrationClosed)}),

		endpoint.Get(at, endpoint.Handle(list), rule("The caller's organizations", 200, nil)),
		endpoint.Post(at, endpoint.Handle(create), rule("Make an organization", http.StatusCreated, []endpoint.Mapping{
			{Err: organization.ErrTooMany, Answer: errTooMany}, {Err: organization.ErrSlugTaken, Answer: errSlugTaken}, invalid}, unverified...)),
		endpoint.Post(at+"/accept-invitation", endpoint.Handle(accept), rule("Join an organization by an invitation", http.StatusCreated, []endpoint.Mapping{
			{Err: organization.ErrInvitationNotFound, Answer: errInvitationNotFound}, {Err: organization.ErrNotRecipient, Answer: errNotRecipient},
			alreadyMember, full, noSeat}, append(endpoint.AnswersTo(authcore.ErrSessionNotFound), unverified...)...)),
		endpoint.Post(at+"/set-active", endpoint.Handle(setActive), rule("Act in an organization, or in none", 200, []endpoint.Mapping{
			{Err: organization.ErrNotFound, Answer: errNotMember}}, endpoint.AnswersTo(authcore.ErrSessionNotFound, authcore.ErrUserNotFound)...)),
		endpoint.Get(at+"/{id}", endpoint.Handle(read), rule("An organization and its members", 200, []endpoint.Mapping{notFound})),
		endpoint.Put(at+"/{id}", endpoint.Handle(update), rule("Change name, logo or metadata", 200,
			refusedOrNotFound("You do not have permission to update this organization", invalid))),
		endpoint.Delete(at+"/{id}", endpoint.Handle(remove), rule("Delete an organization", http.StatusNoContent,
			refusedOrNotFound("Only the owner can delete the organization"))),
		endpoint.Post(at+"/{id}/transfer", endpoint.Handle(transfer), rule("Make a member the owner", 200,
			refusedOrNotFound("Only the owner can transfer the organization", memberNotFound, invalid),
			append(endpoint.AnswersTo(authcore.ErrUserNotFound), endpoint.ErrNotRecent)...)),
		endpoint.Post(at+"/{id}/invite", endpoint.Handle(invite), rule("Invite somebody by mail", http.StatusCreated, append(
			refused("You do not have permission to invite members"), alreadyMember, full, noSeat,
			endpoint.Mapping{Err: organization.ErrAlreadyInvited, Answer: errAlreadyInvited},
			endpoint.Mapping{Err: organization.ErrTooManyInvited, Answer: errTooManyInvited},
			endpoint.Mapping{Err: organization.ErrInvitedTooOften, Answer: errTooManyMails},
		), unverified...)),
		endpoint.Get(at+"/{id}/invitations", endpoint.Handle(invitations), rule("Pending invitations of an organization", 200,
			refusedOrNotFound("You do not have permission to view invitations"))),
		endpoint.Get(at+"/{id}/members", endpoint.Handle(members), rule("Members of an organization", 200, []endpoint.Mapping{notFound})),
		endpoint.Delete(at+"/{id}/members/{memberId}", endpoint.Handle(removeMember), rule("Remove a member, or leave", 200,
			append(refused("You do not have permission to remove members"), memberNotFound, lastOwner))),
		endpoint.Patch(at+"/{id}/members/{memberId}/role", endpoint.Handle(setRole), rule("Give a member another role", 200, append(
			refused("You do not have permission to change member roles"), memberNotFound,
			endpoint.Mapping{Err: organization.ErrOwnerRole, Answer: errOwnerRole}, endpoint.Mapping{Err: organization.ErrLastOwner, Answer: errOwnerRole},
		))),

		endpoint.Get(v1+"/invitations", endpoint.Handle(ownInvitations), rule("Pending invitations to the caller's address", 200, nil)),
		endpoint.Delete(v1+"/invitations/{id}", endpoint.Handle(endInvitation), rule("Cancel or reject an invitation", http.StatusNoContent, []endpoint.Mapping{
			{Err: organization.ErrInvitationNotFound, Answer: errNoInvitation},
			{Err: organization.ErrForbidden, Answer: forbidden("You do not have permission to cancel this invitation")}}, unverified...)),

		endpoint.Get("/api/v1/internal/org/{orgId}/member/{userId}", endpoint.Handle(membership), endpoint.Rule{Summary: "Whether a user is a member, and as what", Access: endpoint.Service, ServiceScope: servicekey.ReadMembers}),
		endpoint.Get("/api/v1/internal/users/{userId}/memberships", endpoint.Handle(memberships), endpoint.Rule{Summary: "The organizations of a user", Access: endpoint.Service, ServiceScope: servicekey.ReadMembers}),
	}...)
}

// organizationView is an organisation. Members are there where one is read.
type organizationView struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Slug      *string         `json:"slug"`
	Logo      *string         `json:"logo"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt endpoint.Time   `json:"createdAt"`
	Members   []memberView    `json:"members,omitempty"`
}

// none is the metadata of an organisation that has none.
var none = json.RawMessage("null")

func viewOf(o organization.Organization) organizationView {
	v := organizationView{ID: o.ID, Name: o.Name, Slug: o.Slug, Logo: o.Logo, Metadata: o.Metadata, CreatedAt: endpoint.Time(o.CreatedAt)}
	if v.Metadata == nil {
		v.Metadata = none
	}
	return v
}

type organizationsResponse struct {
	Organizations []organizationView `json:"organizations"`
}

func list(ctx context.Context, c *endpoint.Call, _ endpoint.None) (organizationsResponse, error) {
	all, err := c.Auth.Organizations(ctx, c.Caller)
	out := organizationsResponse{make([]organizationView, len(all))}
	for i, o := range all {
		out.Organizations[i] = viewOf(o)
	}
	return out, err
}

type createOrganizationRequest struct {
	Name     string          `json:"name" rule:"line,max=255,min=2,string"`
	Slug     string          `json:"slug" rule:"optional,max=255,string"`
	Logo     string          `json:"logo" rule:"optional,line,max=500,string"`
	Metadata json.RawMessage `json:"metadata" rule:"optional,object"`
}

func create(ctx context.Context, c *endpoint.Call, req createOrganizationRequest) (organizationView, error) {
	o, err := c.Auth.CreateOrganization(ctx, c.Caller, organization.New{Name: req.Name, Slug: req.Slug, Logo: req.Logo, Metadata: req.Metadata})
	return viewOf(o), worded(err)
}

// worded tells what is wrong with an input.
func worded(err error) error {
	if !errors.Is(err, organization.ErrInvalidInput) {
		return err
	}
	return &endpoint.Error{Status: errInvalid.Status, Code: errInvalid.Code, Message: strings.TrimPrefix(err.Error(), organization.ErrInvalidInput.Error()+": ")}
}

type organizationPath struct {
	ID string `path:"id" rule:"max=64,string"`
}

func read(ctx context.Context, c *endpoint.Call, req organizationPath) (organizationView, error) {
	o, err := c.Auth.Organization(ctx, c.Caller, req.ID)
	if err != nil {
		return organizationView{}, err
	}
	v := viewOf(o)
	v.Members, err = members(ctx, c, req)
	return v, err
}

type updateOrganizationRequest struct {
	ID       string          `path:"id" rule:"max=64,string"`
	Name     *string         `json:"name" rule:"optional,line,max=255,min=2,string"`
	Logo     *string         `json:"logo" rule:"optional,line,max=500,string"`
	Metadata json.RawMessage `json:"metadata" rule:"optional,object"`
}

func update(ctx context.Context, c *endpoint.Call, req updateOrganizationRequest) (organizationView, error) {
	o, err := c.Auth.UpdateOrganization(ctx, c.Caller, req.ID, organization.Change{Name: req.Name, Logo: req.Logo, Metadata: req.Metadata})
	return viewOf(o), worded(err)
}

func remove(ctx context.Context, c *endpoint.Call, req organizationPath) (endpoint.NoContent, error) {
	return endpoint.NoContent{}, c.Auth.DeleteOrganization(ctx, c.Caller, req.ID)
}

type setActiveRequest struct {
	// OrganizationID is empty where the session is to act in none.
	OrganizationID string `json:"organizationId" rule:"max=64,string"`
}

// activeResponse is the organisation, whose fields are null where there is none,
// and what the session has become. The access token says so; the one before says
// what was.
type activeResponse struct {
	ID                   *string         `json:"id"`
	Name                 *string         `json:"name"`
	Slug                 *string         `json:"slug"`
	Logo                 *string         `json:"logo"`
	Metadata             json.RawMessage `json:"metadata"`
	CreatedAt            *endpoint.Time  `json:"createdAt"`
	UserID               string          `json:"userId"`
	ActiveOrganizationID *string         `json:"activeOrganizationId"`
	AccessToken          string          `json:"accessToken"`
	ExpiresIn            int64           `json:"expiresIn"`
}

func setActive(ctx context.Context, c *endpoint.Call, req setActiveRequest) (activeResponse, error) {
	active, err := c.Auth.SetActiveOrganization(ctx, c.Caller, req.OrganizationID)
	if err != nil {
		return activeResponse{}, err
	}
	out := activeResponse{UserID: c.UserID, AccessToken: active.AccessToken, ExpiresIn: int64(active.ExpiresIn.Seconds()), Metadata: none}
	if active.Organization != nil {
		v := viewOf(*active.Organization)
		out.ID, out.Name, out.Slug, out.Logo, out.Metadata, out.CreatedAt = &v.ID, &v.Name, v.Slug, v.Logo, v.Metadata, &v.CreatedAt
		out.ActiveOrganizationID = &v.ID
	}
	return out, nil
}
