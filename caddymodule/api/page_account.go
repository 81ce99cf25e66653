package api

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
)

func loginFor(target string) string { return "/login?returnUrl=" + url.QueryEscape(target) }

// pageCaller names who is signed in by the SSO cookie. Nobody is
// [authcore.ErrNoSession].
func (c *call) pageCaller(ctx context.Context) (authcore.BrowserSession, error) {
	b, err := c.auth.BrowserSession(ctx, c.r.Header["Cookie"])
	if err != nil {
		return b, err
	}
	if b.Renewed {
		c.setSession(b)
	}
	u := b.User()
	c.UserID, c.Email, c.Role, c.SessionID = u.ID, u.Email, u.Role, b.Session().ID
	return b, nil
}

// accountPage lists the devices of who is signed in.
func accountPage(ctx context.Context, c *call, _ none) (answerer, error) {
	b, err := c.pageCaller(ctx)
	if errors.Is(err, authcore.ErrNoSession) {
		return redirect{loginFor("/account")}, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := c.auth.Sessions(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view := pages.Account{Name: b.User().Name, Email: b.User().Email}
	for _, s := range list {
		view.Devices = append(view.Devices, pages.Device{
			ID: s.ID, Name: s.Device(), UserAgent: orEmpty(s.UserAgent), IPAddress: orEmpty(s.IPAddress),
			LastSeen: s.LastActivityAt, App: s.Kind == authcore.AppSession, Current: s.ID == c.SessionID,
		})
	}
	return html{status: 200, view: view}, nil
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

type accountFormRequest struct {
	Action string `json:"action" rule:"string"`
	ID     string `json:"id" rule:"optional,max=64,string"`
}

var errUnknownAction = &problem{status: 400, code: "UNKNOWN_ACTION", text: "Unknown action"}

// accountForm signs out, or ends one or all other sessions.
func accountForm(ctx context.Context, c *call, req accountFormRequest) (answerer, error) {
	if err := c.ownForm(); err != nil {
		return nil, err
	}
	if len(c.bodyFaults) > 0 {
		return nil, errUnknownAction
	}
	if req.Action == "sign-out" {
		if err := c.endSession(ctx); err != nil {
			return nil, err
		}
		return redirect{"/login"}, nil
	}
	_, err := c.pageCaller(ctx)
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return redirect{loginFor("/account")}, nil
	case err != nil:
		return nil, err
	}
	switch req.Action {
	case "revoke":
		err = c.auth.RevokeSession(ctx, c.Caller, req.ID)
		if errors.Is(err, authcore.ErrSessionNotFound) {
			err = nil // it is over, as was wished
		}
	case "revoke-others":
		_, err = c.auth.RevokeOtherSessions(ctx, c.Caller)
	default:
		err = errUnknownAction
	}
	if err != nil {
		return nil, err
	}
	return redirect{"/account"}, nil
}
