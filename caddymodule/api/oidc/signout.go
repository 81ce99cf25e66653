package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

// askSignOut leads to the page that asks whether to sign out.
func askSignOut(clientID, target, state string) endpoint.Answer {
	query := url.Values{}
	for name, value := range map[string]string{"client_id": clientID, "post_logout_redirect_uri": target, "state": state} {
		if value != "" {
			query.Set(name, value)
		}
	}
	to := signOutPath
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	return endpoint.Redirect{To: to, Status: http.StatusFound}
}

// SignedOutResponse is what a script is told that signed a browser out.
type SignedOutResponse struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

// signedOut says that the browser is signed out, to whoever asked.
func signedOut(c *endpoint.Call) endpoint.Answer {
	if request.IsNavigation(c.Request) {
		return endpoint.HTML{Status: 200, View: pages.SignedOut{}}
	}
	return unkept(http.StatusOK, SignedOutResponse{Success: true, Message: "Logout successful"})
}

// signOutPage asks whether to sign out: another site may have led here.
func signOutPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	view := pages.SignOut{
		Client: query.Get("client_id"), Target: query.Get("post_logout_redirect_uri"), State: query.Get("state"),
		ReturnURL: sso.ReturnTarget(c, query.Get("returnUrl")),
	}
	to, err := leaving(ctx, c, view)
	if err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: 200, View: view, FormTarget: sso.FormSource(to)}, nil
}

// leaving is where to go afterwards: an address that the client has registered or, where
// none is asked for, the checked place of an app. It is empty where there is neither.
func leaving(ctx context.Context, c *endpoint.Call, view pages.SignOut) (string, error) {
	if view.Target == "" {
		return view.ReturnURL, nil
	}
	known, err := c.Auth.OpenIDClient(ctx, view.Client)
	if errors.Is(err, openid.ErrUnknownClient) || err == nil && !known.LeavesTo(view.Target) {
		return "", nil
	}
	return response(view.Target, url.Values{}, view.State), err
}

type signOutFormRequest struct {
	Client string `json:"client_id" rule:"optional,max=128,string"`
	Target string `json:"post_logout_redirect_uri" rule:"optional,max=2048,string"`
	State  string `json:"state" rule:"optional,max=4096,string"`
	Return string `json:"returnUrl" rule:"optional,string"`
}

// signOutForm signs out of everything, and leads to the client or the app that asked.
func signOutForm(ctx context.Context, c *endpoint.Call, req signOutFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if err := sso.End(ctx, c); err != nil {
		return nil, err
	}
	to, err := leaving(ctx, c, pages.SignOut{Client: req.Client, Target: req.Target, State: req.State, ReturnURL: sso.ReturnTarget(c, req.Return)})
	if err != nil {
		return nil, err
	}
	if to == "" {
		return endpoint.HTML{Status: 200, View: pages.SignedOut{}}, nil
	}
	return endpoint.Redirect{To: to}, nil
}
