package page

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

func loginFor(target string) string { return "/login?returnUrl=" + url.QueryEscape(target) }

// accountPage lists the devices of who is signed in.
func accountPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	b, err := sso.Caller(ctx, c)
	if errors.Is(err, authcore.ErrNoSession) {
		return endpoint.Redirect{To: loginFor("/account")}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := c.Auth.Sessions(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view := pages.Account{Name: b.User().Name, Email: b.User().Email}
	for _, s := range list {
		view.Devices = append(view.Devices, pages.Device{
			ID: s.ID, Name: s.Device(), UserAgent: endpoint.TextOf(s.UserAgent), IPAddress: endpoint.TextOf(s.IPAddress),
			LastSeen: s.LastActivityAt, App: s.Kind == authcore.AppSession, Current: s.ID == c.SessionID,
		})
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}

type accountFormRequest struct {
	Action string `json:"action" rule:"string"`
	ID     string `json:"id" rule:"optional,max=64,string"`
}

var errUnknownAction = &endpoint.Error{Status: 400, Code: "UNKNOWN_ACTION", Message: "Unknown action"}

// accountForm signs out, or ends one or all other sessions.
func accountForm(ctx context.Context, c *endpoint.Call, req accountFormRequest) (endpoint.Answer, error) {
	if err := ownForm(c); err != nil {
		return nil, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	if req.Action == "sign-out" {
		if err := sso.End(ctx, c); err != nil {
			return nil, err
		}
		return endpoint.Redirect{To: "/login"}, nil
	}
	_, err := sso.Caller(ctx, c)
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return endpoint.Redirect{To: loginFor("/account")}, nil
	case err != nil:
		return nil, err
	}
	switch req.Action {
	case "revoke":
		err = c.Auth.RevokeSession(ctx, c.Caller, req.ID)
		if errors.Is(err, authcore.ErrSessionNotFound) {
			err = nil // it is over, as was wished
		}
	case "revoke-others":
		_, err = c.Auth.RevokeOtherSessions(ctx, c.Caller)
	default:
		err = errUnknownAction
	}
	if err != nil {
		return nil, err
	}
	return endpoint.Redirect{To: "/account"}, nil
}
