package provider

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

var errUnknownAction = &endpoint.Error{Status: 400, Code: "UNKNOWN_ACTION", Message: "Unknown action"}

// signInsPage lists the accounts of providers that the user signs in with.
func signInsPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, signInsPath); away != nil || err != nil {
		return away, err
	}
	return signInsAnswer(ctx, c, 200, pages.SignIns{Done: sso.DoneOf(c, "linked", "unlinked")})
}

func signInsAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.SignIns) (endpoint.Answer, error) {
	all, err := c.Auth.LinkedAccounts(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		shown := pages.SignInAccount{ID: a.ID, Provider: a.ProviderName, Email: endpoint.TextOf(a.Email), Linked: a.CreatedAt}
		if a.LastUsedAt != nil {
			shown.LastUsed = *a.LastUsedAt
		}
		view.List = append(view.List, shown)
	}
	for _, p := range c.Auth.Providers() {
		view.Providers = append(view.Providers, pages.ProviderChoice{ID: p.ID, Name: p.Name})
	}
	err = c.Auth.RequireRecent(ctx, c.Caller)
	if view.Proof.Recent = err == nil; err != nil && !errors.As(err, new(*authcore.ReauthenticationError)) {
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type signInsFormRequest struct {
	Action   string `json:"action" rule:"max=32,string"`
	ID       string `json:"id" rule:"optional,max=64,string"`
	Provider string `json:"provider" rule:"optional,max=32,string"`
}

// signInsForm leads to a provider whose account is to be linked, or unlinks one.
func signInsForm(ctx context.Context, c *endpoint.Call, req signInsFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, signInsPath); away != nil || err != nil {
		return away, err
	}
	var err error
	switch {
	case len(c.FieldErrors) > 0:
		err = errUnknownAction
	case req.Action == "link":
		var r authcore.ProviderRedirect
		r, err = c.Auth.BeginProviderLink(ctx, c.Caller, authcore.ProviderRequest{Provider: req.Provider, Bindings: sso.Bindings(c)})
		if err == nil {
			return sso.LeaveFor(c, r, sso.ProviderName(c, req.Provider)), nil
		}
	case req.Action == "unlink":
		if err = c.Auth.UnlinkAccount(ctx, c.Caller, req.ID); err == nil {
			return sso.Done(signInsPath, "unlinked"), nil
		}
	default:
		err = errUnknownAction
	}
	return sso.Refused(c, err, signInsPath, func(status int, code string) (endpoint.Answer, error) {
		return signInsAnswer(ctx, c, status, pages.SignIns{Error: code})
	})
}
