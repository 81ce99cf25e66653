package page

import (
	"context"
	"encoding/json"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// signIn are the pages that lead to a session.
type signIn struct{ Config }

// loginPage shows the sign-in form. Who is signed in goes straight on, unless
// they came here from the same place again and again: then a page explains.
func (s signIn) loginPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	target := signInTarget(c)
	b, err := sso.Caller(ctx, c)
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		query := c.Request.URL.Query()
		email := query.Get("email")
		if email == "" {
			email = query.Get("login_hint") // OpenID Connect Core, section 3.1.2.1
		}
		return s.loginAnswer(c, 200, pages.Login{
			ReturnURL: target, Email: email, Verified: query.Get("verified") == "true", Reset: query.Get("reset") == "true",
		}), nil
	case err != nil:
		return nil, err
	}
	if target == "" || c.Auth.LacksSecondFactor(b) {
		return goOn(c, b, target), nil
	}
	if looping(c, target) {
		return endpoint.HTML{Status: 409, View: pages.Loop{Site: endpoint.OriginOf(target)}}, nil
	}
	return endpoint.Redirect{To: target}, nil
}

// signInTarget is where the sign-in leads: the checked target, or the authorization
// request of an OpenID client, which stands in the address as it came.
func signInTarget(c *endpoint.Call) string {
	query := c.Request.URL.Query()
	if target := query.Get("returnUrl"); target != "" || query.Get("client_id") == "" {
		return returnTarget(c, target)
	}
	return sso.AuthorizeTarget(c.Request.URL.RawQuery)
}

// returnTarget is the checked URL of a trusted place, or empty.
func returnTarget(c *endpoint.Call, raw string) string {
	return sso.ReturnTarget(c, raw)
}

func (s signIn) loginAnswer(c *endpoint.Call, status int, view pages.Login) endpoint.HTML {
	view.Closed, view.InviteOnly = s.RegistrationClosed, s.InvitationRequired
	_, view.Passkeys = c.Auth.PasskeyDomain()
	view.Client = sso.AskingClient(c, view.ReturnURL)
	view = loginView(c, view)
	return endpoint.HTML{Status: status, View: view, FormTarget: sso.FormTarget(c, view.ReturnURL)}
}

// loginView offers the providers there are.
func loginView(c *endpoint.Call, view pages.Login) pages.Login {
	view.Providers, view.PasswordsOff = sso.ProviderButtons(c, view.ReturnURL, ""), c.Auth.PasswordsOff()
	return view
}

// loginFormRequest has an address and a password, or what a passkey answered.
type loginFormRequest struct {
	Email     string `json:"email" rule:"max=254,account"`
	Password  string `json:"password" rule:"max=1024,min=1,string"`
	Response  string `json:"response" rule:"optional,max=65536,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// loginForm signs in and goes on to the checked return target. A refusal
// shows the form again.
func (s signIn) loginForm(ctx context.Context, c *endpoint.Call, req loginFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Login{Email: req.Email, ReturnURL: target}
	begin := func() (authcore.BrowserSession, error) {
		return sso.Begin(ctx, c, req.Email, req.Password, true)
	}
	if req.Response != "" {
		begin = func() (authcore.BrowserSession, error) {
			return sso.BeginByPasskey(ctx, c, sso.PasskeyAnswer(c, json.RawMessage(req.Response)))
		}
	} else if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return s.loginAnswer(c, 400, view), nil
	}
	b, err := begin()
	if err != nil {
		if errors.As(err, new(*authcore.SecondFactorError)) {
			return toSecondFactor(target), nil
		}
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		view.Error = p.Code
		out := s.loginAnswer(c, p.Status, view)
		out.RetryAfter = p.RetryAfter
		return out, nil
	}
	return goOn(c, b, target), nil
}
