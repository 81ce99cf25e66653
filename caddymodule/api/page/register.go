package page

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// registerPage shows the form. That of an invitation has its address, which
// cannot be changed; opening it consumes nothing.
func registerPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	view := pages.Register{ReturnURL: returnTarget(c, query.Get("returnUrl")), Invitation: query.Get("invitation")}
	if view.Invitation == "" {
		if c.Auth.InvitationRequired() {
			return nil, errInviteOnly
		}
		return registerAnswer(c, 200, view), nil
	}
	i, err := c.Auth.Invitation(ctx, view.Invitation)
	if err != nil {
		return nil, err
	}
	view.Email = i.Address
	return registerAnswer(c, 200, view), nil
}

func registerAnswer(c *endpoint.Call, status int, view pages.Register) endpoint.HTML {
	view.Providers, view.PasswordsOff = sso.ProviderButtons(c, view.ReturnURL, view.Invitation), c.Auth.PasswordsOff()
	return endpoint.HTML{Status: status, View: view, FormTarget: sso.FormTarget(c, view.ReturnURL)}
}

type registerFormRequest struct {
	Name      string `json:"name" rule:"optional,line,max=255,string"`
	Email     string `json:"email" rule:"max=254,email"`
	Password  string `json:"password" rule:"max=128,min=8,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
	// Invitation is the token of one.
	Invitation string `json:"invitation" rule:"optional,max=128,string"`
}

// registerForm makes an account, signs in and goes on to the checked return
// target. A refusal shows the form again.
func registerForm(ctx context.Context, c *endpoint.Call, req registerFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Register{Name: req.Name, Email: req.Email, ReturnURL: target, Invitation: req.Invitation}
	switch {
	case req.Invitation != "":
		i, err := c.Auth.Invitation(ctx, req.Invitation)
		if err != nil {
			return nil, err
		}
		view.Email, req.Email = i.Address, i.Address
	case c.Auth.InvitationRequired():
		return nil, errInviteOnly
	}
	if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return registerAnswer(c, 400, view), nil
	}
	err := c.ProveWork(ctx)
	if err == nil {
		_, err = c.Auth.Register(ctx, c.Client, authcore.Registration{
			Email: req.Email, Password: req.Password, Name: req.Name, SourceAppURL: endpoint.OriginOf(target), RedirectTo: endpoint.OriginOf(target),
			ReturnTo: target, Invitation: req.Invitation,
		})
	}
	if err != nil {
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		view.Error = p.Code
		out := registerAnswer(c, p.Status, view)
		out.RetryAfter = p.RetryAfter
		return out, nil
	}
	c.ForgetGuest()
	if c.Auth.VerificationRequired() && req.Invitation == "" {
		return endpoint.HTML{Status: 200, View: pages.Mailed{Email: req.Email, About: "verify"}}, nil
	}
	if target == "" {
		target = "/account"
	}
	b, err := sso.Begin(ctx, c, req.Email, req.Password, true)
	if err != nil {
		// The account is there; its owner signs in when the trouble is over.
		return endpoint.Redirect{To: sso.LoginFor(target)}, nil
	}
	return goOn(c, b, target), nil
}
