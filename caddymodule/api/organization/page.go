package organization

import (
	"context"
	"net/url"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

const pagePath = "/account/organizations"

var (
	errUnknownAction = &endpoint.Error{Status: 400, Code: "UNKNOWN_ACTION", Message: "Unknown action"}
	errName          = &endpoint.Error{Status: 400, Code: "ORGANIZATION_NAME", Message: "name must be 2 to 255 characters long"}
	errCredits       = &endpoint.Error{Status: 400, Code: "ALLOTMENT_CREDITS", Message: "credits must be a positive number with up to three decimals"}
	errRole          = &endpoint.Error{Status: 403, Code: "ORGANIZATION_ROLE", Message: "You do not have permission to do this"}
)

// pageMappings word what the core refuses, on pages.
var pageMappings = []endpoint.Mapping{
	{Err: organization.ErrNotFound, Answer: errNotMember}, {Err: organization.ErrForbidden, Answer: errRole},
	{Err: organization.ErrMemberNotFound, Answer: errMemberNotFound}, {Err: organization.ErrInvitationNotFound, Answer: errInvitationNotFound},
	{Err: organization.ErrNotRecipient, Answer: errNotRecipient}, {Err: organization.ErrOwnerRole, Answer: errOwnerRole},
	{Err: organization.ErrLastOwner, Answer: errLastOwner}, {Err: organization.ErrAlreadyMember, Answer: errAlreadyMember},
	{Err: organization.ErrAlreadyInvited, Answer: errAlreadyInvited}, {Err: organization.ErrFull, Answer: errFull},
	{Err: organization.ErrNoSeat, Answer: errNoSeat},
	{Err: organization.ErrTooManyInvited, Answer: errTooManyInvited}, {Err: organization.ErrInvitedTooOften, Answer: errTooManyMails},
	{Err: organization.ErrTooMany, Answer: errTooMany}, {Err: organization.ErrSlugTaken, Answer: errSlugTaken},
	{Err: organization.ErrInvalidInput, Answer: errName}, {Err: creditcore.ErrNotMember, Answer: errRole},
}

// pageRoutes are the hosted pages of organisations.
func pageRoutes(cfg Config) []endpoint.Route {
	team := wallets{cfg.Sells}
	gone := endpoint.AnswerTo(authcore.ErrUserNotFound)
	show := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Mappings: pageMappings[:1], Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), gone)}
	}
	form := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(60),
			Mappings: pageMappings, Errors: append(endpoint.AnswersTo(authcore.ErrEmailNotVerified, authcore.ErrSessionNotFound, creditcore.ErrNoAllotment), gone, errUnknownAction, errCredits)}
	}
	return []endpoint.Route{
		endpoint.Get("/accept-invitation", endpoint.Handle(invitationPage), show("Where the link of an invitation leads")),
		endpoint.Get(pagePath, endpoint.Handle(organizationsPage), show("The signed-in user's organizations")),
		endpoint.Post(pagePath, endpoint.Handle(organizationsForm), form("Join, make or act for an organization")),
		endpoint.Get(pagePath+"/{id}", endpoint.HandleWith(cfg.Ledger, team.page), show("An organization, its members and its credits")),
		endpoint.Post(pagePath+"/{id}", endpoint.HandleWith(cfg.Ledger, team.form), form("Manage or leave an organization")),
	}
}

type invitationPageRequest struct {
	ID string `query:"id" rule:"optional,max=64,string"`
}

// invitationPage shows the invitations of who is signed in, with the one of the
// link marked. It changes nothing: programs that look at mails open links too.
func invitationPage(ctx context.Context, c *endpoint.Call, req invitationPageRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, "/accept-invitation?id="+url.QueryEscape(req.ID)); away != nil || err != nil {
		return away, err
	}
	view := pages.Organizations{}
	answer, err := organizationsAnswer(ctx, c, 200, view, req.ID)
	if page, ok := answer.(endpoint.HTML); ok && err == nil {
		shown := page.View.(pages.Organizations)
		if shown.Verified && !slices.ContainsFunc(shown.Invitations, func(i pages.Invitation) bool { return i.Focus }) {
			shown.Error = errInvitationNotFound.Code
			page.Status, page.View = errInvitationNotFound.Status, shown
			return page, nil
		}
	}
	return answer, err
}

func organizationsPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, pagePath); away != nil || err != nil {
		return away, err
	}
	return organizationsAnswer(ctx, c, 200, pages.Organizations{Done: sso.DoneOf(c, "made", "joined", "rejected", "switched", "alone", "left", "deleted")}, "")
}

// organizationsAnswer fills in what there is. focus is the id of an invitation.
func organizationsAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Organizations, focus string) (endpoint.Answer, error) {
	u, session, err := c.Auth.Session(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Verified = u.EmailVerified
	list, err := c.Auth.Memberships(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		active := session.ActiveOrganizationID != nil && *session.ActiveOrganizationID == m.OrganizationID
		view.List = append(view.List, pages.Organization{ID: m.OrganizationID, Name: m.Name, Role: string(m.Role), Active: active})
		view.Acting = view.Acting || active
	}
	invited, err := c.Auth.OwnInvitations(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	for _, i := range invited {
		view.Invitations = append(view.Invitations, pages.Invitation{
			ID: i.ID, Name: i.OrganizationName, Inviter: i.InviterName, Role: string(i.Role), Expires: i.ExpiresAt, Focus: i.ID == focus,
		})
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type organizationsFormRequest struct {
	Action string `json:"action" rule:"max=32,string"`
	ID     string `json:"id" rule:"optional,max=64,string"`
	Name   string `json:"name" rule:"optional,line,max=255,min=2,string"`
}

func organizationsForm(ctx context.Context, c *endpoint.Call, req organizationsFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, pagePath); away != nil || err != nil {
		return away, err
	}
	var err error
	var done string
	switch req.Action {
	case "accept":
		done = "joined"
		_, err = c.Auth.AcceptInvitation(ctx, c.Caller, req.ID)
	case "reject":
		done = "rejected"
		_, err = c.Auth.EndInvitation(ctx, c.Caller, req.ID)
	case "switch":
		done = "switched"
		_, err = c.Auth.SetActiveOrganization(ctx, c.Caller, req.ID)
	case "alone":
		done = "alone"
		_, err = c.Auth.SetActiveOrganization(ctx, c.Caller, "")
	case "make":
		done = "made"
		if len(c.FieldErrors) > 0 || req.Name == "" {
			err = errName
			break
		}
		_, err = c.Auth.CreateOrganization(ctx, c.Caller, organization.New{Name: req.Name})
	default:
		err = errUnknownAction
	}
	if err != nil {
		return sso.Refused(c, err, pagePath, func(status int, code string) (endpoint.Answer, error) {
			return organizationsAnswer(ctx, c, status, pages.Organizations{Error: code, NewName: usertext.Clean(req.Name, 255)}, "")
		})
	}
	return sso.Done(pagePath, done), nil
}
