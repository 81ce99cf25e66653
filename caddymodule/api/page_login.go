package api

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
)

// defaultTarget is where a sign-in leads that names no place, or none that is
// trusted.
const defaultTarget = "/account"

// loginPage shows the sign-in form. Who is signed in goes straight on, unless
// he came here from the same place again and again: then a page explains.
func loginPage(ctx context.Context, c *call, _ none) (answerer, error) {
	target := c.returnTarget(c.r.URL.Query().Get("returnUrl"))
	b, err := c.auth.BrowserSession(ctx, c.r.Header["Cookie"])
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return c.loginAnswer(200, pages.Login{ReturnURL: target}), nil
	case err != nil:
		return nil, err
	}
	if b.Renewed {
		c.setSession(b)
	}
	if target == "" {
		return redirect{defaultTarget}, nil
	}
	if c.looping(target) {
		return html{status: 409, view: pages.Loop{Site: originOf(target)}}, nil
	}
	return redirect{target}, nil
}

// returnTarget is the checked URL of a trusted place, or empty.
func (c *call) returnTarget(raw string) string {
	target, ok := c.api.Origins.ReturnTarget(raw)
	if !ok {
		return ""
	}
	return target
}

// originOf is the origin of a checked target, empty without one.
func originOf(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (c *call) loginAnswer(status int, view pages.Login) html {
	view.Closed = c.api.RegistrationClosed
	return html{status: status, view: view, formTarget: originOf(view.ReturnURL)}
}

type loginFormRequest struct {
	Email     string `json:"email" rule:"max=254,account"`
	Password  string `json:"password" rule:"max=1024,min=1,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// loginForm signs in and goes on to the checked return target. A refusal
// shows the form again.
func loginForm(ctx context.Context, c *call, req loginFormRequest) (answerer, error) {
	if err := c.ownForm(); err != nil {
		return nil, err
	}
	target := c.returnTarget(req.ReturnURL)
	view := pages.Login{Email: req.Email, ReturnURL: target}
	if len(c.bodyFaults) > 0 {
		view.Error = c.bodyFaults[0].pageText()
		return c.loginAnswer(400, view), nil
	}
	if err := c.beginSession(ctx, req.Email, req.Password); err != nil {
		p := known(c.route, err)
		if p == nil {
			return nil, err
		}
		view.Error = p.code
		out := c.loginAnswer(p.status, view)
		out.retry = p.retry
		return out, nil
	}
	if target == "" {
		target = defaultTarget
	}
	return redirect{target}, nil
}

// ownForm refuses a form that did not come from a page at the base URL, and a
// body that is none. A trusted origin may call the API, but who signs in where
// is the business of the hosted pages alone. A browser that tells no origin
// must say that it sends the form to where it has it from.
func (c *call) ownForm() error {
	origin, site := c.r.Header["Origin"], c.r.Header["Sec-Fetch-Site"]
	switch {
	case len(origin) == 1 && origin[0] != "null":
		if !c.api.Origins.IsBase(origin[0]) {
			return errCSRF
		}
	case len(origin) > 1, len(site) != 1, site[0] != "same-origin", !strings.EqualFold(c.r.Host, c.api.BaseURL.Host):
		return errCSRF
	}
	return c.bodyErr
}

// pageText names the text of a fault in the pages' texts.
func (f bodyFault) pageText() string { return "FIELD_" + f.field + "_" + f.check }

// beginSession signs in and sends the SSO cookie.
func (c *call) beginSession(ctx context.Context, email, password string) error {
	c.knownDevice()
	b, err := c.auth.SignInBrowser(ctx, c.Client, email, password, true)
	if err == nil {
		c.setSession(b)
	}
	return err
}
