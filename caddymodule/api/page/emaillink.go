package page

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

func linkPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	view := pages.Link{Email: query.Get("email"), ReturnURL: returnTarget(c, query.Get("returnUrl"))}
	if query.Get("error") != "" {
		view.Error = "LINK_EXPIRED"
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}

type linkFormRequest struct {
	Email     string `json:"email" rule:"max=254,email"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// linkForm mails a link that signs in.
func linkForm(ctx context.Context, c *endpoint.Call, req linkFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	if len(c.FieldErrors) > 0 {
		return endpoint.HTML{Status: 400, View: pages.Link{Email: req.Email, ReturnURL: target, Error: c.FieldText()}}, nil
	}
	if err := c.ProveWork(ctx); err != nil {
		return workAnswer(c, err, pages.Link{Email: req.Email, ReturnURL: target, Error: endpoint.ErrWorkRequired.Code})
	}
	if err := c.Auth.MailSignIn(ctx, c.Client, req.Email, target); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: 200, View: pages.Mailed{Email: req.Email, About: "link"}}, nil
}

type tokenFormRequest struct {
	Token       string `json:"token" rule:"max=128,min=1,string"`
	CallbackURL string `json:"callbackURL" rule:"optional,max=2048,string"`
}

// confirmPage shows the button behind a mailed link. Mail scanners open links:
// opening this one changes nothing.
func confirmPage(about string) func(context.Context, *endpoint.Call, endpoint.None) (endpoint.Answer, error) {
	return func(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
		query := c.Request.URL.Query()
		target := returnTarget(c, query.Get("callbackURL"))
		return endpoint.HTML{
			Status:     200,
			View:       pages.Confirm{About: about, Action: c.Request.URL.Path, Token: query.Get("token"), Target: target},
			FormTarget: sso.FormTarget(c, target),
		}, nil
	}
}

// overdue reports whether a link is no good any more.
func overdue(err error) bool {
	return errors.Is(err, challenge.ErrUnknown) || errors.Is(err, challenge.ErrExpired)
}

// signInByLink signs in and goes on to the checked target.
func signInByLink(ctx context.Context, c *endpoint.Call, req tokenFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.CallbackURL)
	b, err := sso.BeginByLink(ctx, c, req.Token)
	switch {
	case err == nil:
		return goOn(c, b, target), nil
	case errors.As(err, new(*authcore.SecondFactorError)):
		return toSecondFactor(target), nil
	case overdue(err), errors.Is(err, authcore.ErrInvalidCredentials):
		return endpoint.HTML{Status: 401, View: pages.Link{ReturnURL: target, Error: "LINK_EXPIRED"}}, nil
	}
	return nil, err
}

// changeEmailForm gives the account its new address.
func changeEmailForm(ctx context.Context, c *endpoint.Call, req tokenFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	done, err := c.Auth.ConfirmEmailChange(ctx, c.Client, req.Token)
	if err != nil {
		return overdueNotice(err)
	}
	query := url.Values{"verified": {"true"}, "email": {done.User.Email}}
	return endpoint.Redirect{To: siteOf(c, done.RedirectTo) + "/login?" + query.Encode()}, nil
}

// undoEmailForm gives the account the address back that it had.
func undoEmailForm(ctx context.Context, c *endpoint.Call, req tokenFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	u, err := c.Auth.UndoEmailChange(ctx, c.Client, req.Token)
	if err != nil {
		return overdueNotice(err)
	}
	return endpoint.Redirect{To: "/login?" + url.Values{"verified": {"true"}, "email": {u.Email}}.Encode()}, nil
}

// overdueNotice says that a link about an address is no good any more, or that the
// address is another account's now.
func overdueNotice(err error) (endpoint.Answer, error) {
	switch {
	case overdue(err):
		return endpoint.HTML{Status: 401, View: pages.Problem{Code: "LINK_OVER"}}, nil
	case errors.Is(err, authcore.ErrEmailTaken):
		return endpoint.HTML{Status: 409, View: pages.Problem{Code: "EMAIL_TAKEN"}}, nil
	}
	return nil, err
}
