package page

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

func registerPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	return registerAnswer(200, pages.Register{ReturnURL: returnTarget(c, c.Request.URL.Query().Get("returnUrl"))}), nil
}

func registerAnswer(status int, view pages.Register) endpoint.HTML {
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}
}

type registerFormRequest struct {
	Name      string `json:"name" rule:"optional,line,max=255,string"`
	Email     string `json:"email" rule:"max=254,email"`
	Password  string `json:"password" rule:"max=128,min=8,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// registerForm makes an account, signs in and goes on to the checked return
// target. A refusal shows the form again.
func registerForm(ctx context.Context, c *endpoint.Call, req registerFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Register{Name: req.Name, Email: req.Email, ReturnURL: target}
	if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return registerAnswer(400, view), nil
	}
	_, err := c.Auth.Register(ctx, c.Client, authcore.Registration{
		Email: req.Email, Password: req.Password, Name: req.Name, SourceAppURL: endpoint.OriginOf(target), RedirectTo: endpoint.OriginOf(target),
	})
	if err != nil {
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		view.Error = p.Code
		out := registerAnswer(p.Status, view)
		out.RetryAfter = p.RetryAfter
		return out, nil
	}
	if c.Auth.VerificationRequired() {
		return endpoint.HTML{Status: 200, View: pages.Mailed{Email: req.Email, About: "verify"}}, nil
	}
	if target == "" {
		target = defaultTarget
	}
	if _, err := sso.Begin(ctx, c, req.Email, req.Password, true); err != nil {
		// The account is there; its owner signs in when the trouble is over.
		return endpoint.Redirect{To: sso.LoginFor(target)}, nil
	}
	return endpoint.Redirect{To: target}, nil
}
