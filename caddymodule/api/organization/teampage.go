package organization

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

type teamPageRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

// teamPathOf is the page of one organisation.
func teamPathOf(id string) string { return pagePath + "/" + url.PathEscape(id) }

// wallets are the pages of organisations with what they have of credits.
type wallets struct {
	sells func(context.Context) (bool, error)
}

func (w wallets) page(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req teamPageRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, teamPathOf(req.ID)); away != nil || err != nil {
		return away, err
	}
	return w.answer(ctx, c, ledger, req.ID, 200, pages.Team{Done: sso.DoneOf(c, "invited", "cancelled", "role", "out", "owner", "named", "allotted", "unallotted")})
}

// answer fills in what a member may see. Who is none is told that there is no
// such organisation.
func (w wallets) answer(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, id string, status int, view pages.Team) (endpoint.Answer, error) {
	own, err := c.Auth.Membership(ctx, id, c.UserID)
	if errors.Is(err, organization.ErrMemberNotFound) {
		err = organization.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	view.ID, view.Name, view.Manages, view.Owns = id, own.Name, own.Role.Manages(), own.Role.Owns()
	members, err := c.Auth.Members(ctx, c.Caller, id)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		view.Members = append(view.Members, pages.Member{
			ID: m.ID, Name: m.Name, Email: m.Email, Role: string(m.Role), You: m.UserID == c.UserID,
			Changeable: m.UserID != c.UserID && own.Role.MayChange(m.Role),
		})
	}
	if err := w.show(ctx, c, ledger, members, &view); err != nil {
		return nil, err
	}
	if view.Manages {
		open, err := c.Auth.Invitations(ctx, c.Caller, id)
		if err != nil {
			return nil, err
		}
		for _, i := range open {
			view.Invitations = append(view.Invitations, pages.Invitation{ID: i.ID, Email: i.Email, Role: string(i.Role), Expires: i.ExpiresAt})
		}
	}
	switch err := c.Auth.RequireRecent(ctx, c.Caller); {
	case err == nil:
		view.Recent = true
	case !errors.As(err, new(*authcore.ReauthenticationError)):
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type teamFormRequest struct {
	ID         string `path:"id" rule:"max=64,string"`
	Action     string `json:"action" rule:"max=32,string"`
	Member     string `json:"member" rule:"optional,max=64,string"`
	Invitation string `json:"invitation" rule:"optional,max=64,string"`
	Email      string `json:"email" rule:"optional,max=254,string"`
	Role       string `json:"role" rule:"optional,max=32,string"`
	Name       string `json:"name" rule:"optional,line,max=255,min=2,string"`
	Credits    string `json:"credits" rule:"optional,max=32,string"`
	Period     string `json:"period" rule:"optional,max=8,string"`
}

func (w wallets) form(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req teamFormRequest) (endpoint.Answer, error) {
	at := teamPathOf(req.ID)
	if away, err := sso.OwnForm(ctx, c, at); away != nil || err != nil {
		return away, err
	}
	done, err := w.change(ctx, c, ledger, req)
	if err != nil {
		return sso.Refused(c, err, at, func(status int, code string) (endpoint.Answer, error) {
			return w.answer(ctx, c, ledger, req.ID, status, pages.Team{
				Error: code, NewName: usertext.Clean(req.Name, 255), InviteMail: usertext.Clean(req.Email, 254), Wallet: pages.Wallet{Credits: usertext.Clean(req.Credits, 32)},
			})
		})
	}
	if req.Action == "leave" || req.Action == "delete" {
		at = pagePath
	}
	return sso.Done(at, done), nil
}

// change does what a form asks for, and says what it did.
func (w wallets) change(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req teamFormRequest) (done string, err error) {
	switch req.Action {
	case "allot":
		return "allotted", allot(ctx, c, ledger, req)
	case "unallot":
		return "unallotted", unallot(ctx, c, ledger, req)
	}
	return changeTeam(ctx, c, req)
}

// changeTeam does what a form asks for that is about the members.
func changeTeam(ctx context.Context, c *endpoint.Call, req teamFormRequest) (done string, err error) {
	switch req.Action {
	case "invite":
		email, canonical := address.Canonical(req.Email)
		if canonical != nil {
			return "", endpoint.Invalid("email must be an email")
		}
		role := organization.RoleMember
		if req.Role == string(organization.RoleAdmin) {
			role = organization.RoleAdmin
		}
		_, err = c.Auth.Invite(ctx, c.Caller, req.ID, email, role)
		return "invited", err
	case "cancel":
		_, err = c.Auth.EndInvitation(ctx, c.Caller, req.Invitation)
		return "cancelled", err
	case "promote":
		_, err = c.Auth.SetMemberRole(ctx, c.Caller, req.ID, req.Member, organization.RoleAdmin)
		return "role", err
	case "demote":
		_, err = c.Auth.SetMemberRole(ctx, c.Caller, req.ID, req.Member, organization.RoleMember)
		return "role", err
	case "remove":
		return "out", c.Auth.RemoveMember(ctx, c.Caller, req.ID, req.Member)
	case "transfer":
		_, err = c.Auth.TransferOrganization(ctx, c.Caller, req.ID, req.Member, false)
		return "owner", err
	case "rename":
		if len(c.FieldErrors) > 0 || req.Name == "" {
			return "", errName
		}
		_, err = c.Auth.UpdateOrganization(ctx, c.Caller, req.ID, organization.Change{Name: &req.Name})
		return "named", err
	case "leave":
		return "left", c.Auth.LeaveOrganization(ctx, c.Caller, req.ID)
	case "delete":
		if err := c.Auth.RequireRecent(ctx, c.Caller); err != nil {
			return "", err
		}
		return "deleted", c.Auth.DeleteOrganization(ctx, c.Caller, req.ID)
	}
	return "", errUnknownAction
}
