package api

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
)

func registerPage(_ context.Context, c *call, _ none) (answerer, error) {
	return c.registerAnswer(200, pages.Register{ReturnURL: c.returnTarget(c.r.URL.Query().Get("returnUrl"))}), nil
}

func (c *call) registerAnswer(status int, view pages.Register) html {
	return html{status: status, view: view, formTarget: originOf(view.ReturnURL)}
}

type registerFormRequest struct {
	Name      string `json:"name" rule:"optional,line,max=255,string"`
	Email     string `json:"email" rule:"max=254,email"`
	Password  string `json:"password" rule:"max=128,min=8,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// registerForm makes an account, signs in and goes on to the checked return
// target. A refusal shows the form again.
func registerForm(ctx context.Context, c *call, req registerFormRequest) (answerer, error) {
	if err := c.ownForm(); err != nil {
		return nil, err
	}
	target := c.returnTarget(req.ReturnURL)
	view := pages.Register{Name: req.Name, Email: req.Email, ReturnURL: target}
	if len(c.bodyFaults) > 0 {
		view.Error = c.bodyFaults[0].pageText()
		return c.registerAnswer(400, view), nil
	}
	_, err := c.auth.Register(ctx, c.Client, authcore.Registration{
		Email: req.Email, Password: req.Password, Name: req.Name, SourceAppURL: originOf(target),
	})
	if err != nil {
		p := known(c.route, err)
		if p == nil {
			return nil, err
		}
		view.Error = p.code
		out := c.registerAnswer(p.status, view)
		out.retry = p.retry
		return out, nil
	}
	if target == "" {
		target = defaultTarget
	}
	if err := c.beginSession(ctx, req.Email, req.Password); err != nil {
		// The account is there; its owner signs in when the trouble is over.
		return redirect{loginFor(target)}, nil
	}
	return redirect{target}, nil
}
