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

// defaultTarget is where a sign-in leads that names no place, or none that is
// trusted.
const defaultTarget = "/account"

// signIn are the pages that lead to a session.
type signIn struct{ Config }

// loginPage shows the sign-in form. Who is signed in goes straight on, unless
// they came here from the same place again and again: then a page explains.
func (s signIn) loginPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	target := returnTarget(c, c.Request.URL.Query().Get("returnUrl"))
	_, err := sso.Caller(ctx, c)
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		query := c.Request.URL.Query()
		return s.loginAnswer(c, 200, pages.Login{
			ReturnURL: target, Email: query.Get("email"), Verified: query.Get("verified") == "true", Reset: query.Get("reset") == "true",
		}), nil
	case err != nil:
		return nil, err
	}
	if target == "" {
		return endpoint.Redirect{To: defaultTarget}, nil
	}
	if looping(c, target) {
		return endpoint.HTML{Status: 409, View: pages.Loop{Site: endpoint.OriginOf(target)}}, nil
	}
	return endpoint.Redirect{To: target}, nil
}

// returnTarget is the checked URL of a trusted place, or empty.
func returnTarget(c *endpoint.Call, raw string) string {
	target, ok := c.Origins().ReturnTarget(raw)
	if !ok {
		return ""
	}
	return target
}

func (s signIn) loginAnswer(c *endpoint.Call, status int, view pages.Login) endpoint.HTML {
	view.Closed = s.RegistrationClosed
	_, view.Passkeys = c.Auth.PasskeyDomain()
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}
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
	begin := func() error {
		_, err := sso.Begin(ctx, c, req.Email, req.Password, true)
		return err
	}
	if req.Response != "" {
		begin = func() error {
			_, err := sso.BeginByPasskey(ctx, c, sso.PasskeyAnswer(c, json.RawMessage(req.Response)))
			return err
		}
	} else if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return s.loginAnswer(c, 400, view), nil
	}
	if err := begin(); err != nil {
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
	return goOn(target), nil
}
