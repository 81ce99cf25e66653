package accountpage

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// endings are the events of sessions that ended, and endingsShown how many a page
// shows.
var endings = []string{"session_revoked", "refresh_reuse", "logout"}

const endingsShown = 5

// devicesPage lists the devices of who is signed in, and why others are no more.
func devicesPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, devicesPath); away != nil || err != nil {
		return away, err
	}
	list, err := c.Auth.Sessions(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view := pages.Devices{Done: sso.DoneOf(c, "ended", "others")}
	for _, s := range list {
		view.List = append(view.List, pages.Device{
			ID: s.ID, Name: s.Device(), UserAgent: endpoint.TextOf(s.UserAgent), IPAddress: endpoint.TextOf(s.IPAddress),
			LastSeen: s.LastActivityAt, App: s.Kind == authcore.AppSession, Current: s.ID == c.SessionID,
		})
	}
	ended, err := c.Auth.OwnEvents(ctx, c.Caller, audit.Query{Types: endings, Limit: endingsShown})
	if err != nil {
		return nil, err
	}
	for _, e := range ended {
		view.Ended = append(view.Ended, eventOf(e))
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}

type devicesFormRequest struct {
	Action string `json:"action" rule:"max=32,string"`
	ID     string `json:"id" rule:"optional,max=64,string"`
}

// devicesForm ends one, all other or all sessions.
func devicesForm(ctx context.Context, c *endpoint.Call, req devicesFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, devicesPath); away != nil || err != nil {
		return away, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	switch req.Action {
	case "revoke":
		err := c.Auth.RevokeSession(ctx, c.Caller, req.ID)
		if err != nil && !errors.Is(err, authcore.ErrSessionNotFound) { // over, as was wished
			return nil, err
		}
		return sso.Done(devicesPath, "ended"), nil
	case "revoke-others":
		if _, err := c.Auth.RevokeOtherSessions(ctx, c.Caller); err != nil {
			return nil, err
		}
		return sso.Done(devicesPath, "others"), nil
	case "revoke-all":
		if _, err := c.Auth.RevokeAllSessions(ctx, c.Caller); err != nil {
			return nil, err
		}
		sso.Clear(c)
		return endpoint.Redirect{To: "/login"}, nil
	}
	return nil, errUnknownAction
}
