package page

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
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
		return s.loginAnswer(200, pages.Login{
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

func (s signIn) loginAnswer(status int, view pages.Login) endpoint.HTML {
	view.Closed = s.RegistrationClosed
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}
}

type loginFormRequest struct {
	Email     string `json:"email" rule:"max=254,account"`
	Password  string `json:"password" rule:"max=1024,min=1,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// loginForm signs in and goes on to the checked return target. A refusal
// shows the form again.
func (s signIn) loginForm(ctx context.Context, c *endpoint.Call, req loginFormRequest) (endpoint.Answer, error) {
	if err := ownForm(c); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Login{Email: req.Email, ReturnURL: target}
	if len(c.FieldErrors) > 0 {
		view.Error = fieldText(c.FieldErrors[0])
		return s.loginAnswer(400, view), nil
	}
	if _, err := sso.Begin(ctx, c, req.Email, req.Password, true); err != nil {
		if errors.As(err, new(*authcore.SecondFactorError)) {
			return toSecondFactor(target), nil
		}
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		view.Error = p.Code
		out := s.loginAnswer(p.Status, view)
		out.RetryAfter = p.RetryAfter
		return out, nil
	}
	return goOn(target), nil
}

// ownForm is [endpoint.Call.OwnForm].
func ownForm(c *endpoint.Call) error { return c.OwnForm() }

// fieldText names the text of a field's error in the pages' texts.
func fieldText(e validate.FieldError) string { return "FIELD_" + e.Field + "_" + e.Rule }
