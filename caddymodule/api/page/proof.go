package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"mana.how/edge/authcore/challenge"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// verifyPage shows the button that confirms an address. Mail scanners open
// links: opening this one changes nothing.
func verifyPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	redirectTo := c.TrustedOrigin(query.Get("redirectTo"))
	token := query.Get("token")
	if token == "" {
		return endpoint.Redirect{To: siteOf(c, redirectTo) + "/verification-failed?error=missing_token", Status: http.StatusFound}, nil
	}
	return endpoint.HTML{Status: 200, View: pages.Verify{Token: token, RedirectTo: redirectTo}, FormTarget: redirectTo}, nil
}

type verifyFormRequest struct {
	Token      string `json:"token" rule:"max=128,min=1,string"`
	RedirectTo string `json:"redirectTo" rule:"optional,max=2048,string"`
}

// verifyForm confirms the address and leads to the sign-in: of this site, and on from there
// to where the user was on the way to, else of the site that the registration came from.
func verifyForm(ctx context.Context, c *endpoint.Call, req verifyFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	site := c.TrustedOrigin(req.RedirectTo)
	confirmed, err := c.Auth.ConfirmEmail(ctx, c.Client, req.Token)
	switch {
	case errors.Is(err, challenge.ErrUnknown), errors.Is(err, challenge.ErrExpired):
		return endpoint.Redirect{To: siteOf(c, site) + "/verification-failed?error=invalid_or_expired_token"}, nil
	case err != nil:
		return nil, err
	}
	if site == "" {
		site = confirmed.RedirectTo
	}
	query := url.Values{"verified": {"true"}, "email": {confirmed.User.Email}}
	if confirmed.ReturnTo != "" {
		query.Set("returnUrl", confirmed.ReturnTo)
		site = ""
	}
	return endpoint.Redirect{To: siteOf(c, site) + "/login?" + query.Encode()}, nil
}

// siteOf is the site that a link leads to: the trusted one, else this one.
func siteOf(c *endpoint.Call, origin string) string {
	if origin == "" {
		return c.BaseURL().String()
	}
	return origin
}

// verificationFailed says that a link is no good any more, and sends another.
func verificationFailed(context.Context, *endpoint.Call, endpoint.None) (endpoint.Answer, error) {
	return endpoint.HTML{Status: 200, View: pages.Resend{Error: "LINK_EXPIRED"}}, nil
}

func resendPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	return endpoint.HTML{Status: 200, View: pages.Resend{Email: c.Request.URL.Query().Get("email")}}, nil
}

type addressFormRequest struct {
	Email string `json:"email" rule:"max=254,email"`
}

// resendForm mails the link that confirms an address again.
func resendForm(ctx context.Context, c *endpoint.Call, req addressFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if len(c.FieldErrors) > 0 {
		return endpoint.HTML{Status: 400, View: pages.Resend{Email: req.Email, Error: c.FieldText()}}, nil
	}
	if err := c.ProveWork(ctx); err != nil {
		return workAnswer(c, err, pages.Resend{Email: req.Email, Error: endpoint.ErrWorkRequired.Code})
	}
	if err := c.Auth.ResendVerification(ctx, c.Client, req.Email, ""); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: 200, View: pages.Mailed{Email: req.Email, About: "verify"}}, nil
}

func forgotPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	view := pages.Forgot{Email: c.Request.URL.Query().Get("email"), ReturnURL: returnTarget(c, c.Request.URL.Query().Get("returnUrl"))}
	if c.Request.URL.Query().Get("error") != "" {
		view.Error = "LINK_EXPIRED"
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}

type forgotFormRequest struct {
	Email     string `json:"email" rule:"max=254,email"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// forgotForm mails the link to another password.
func forgotForm(ctx context.Context, c *endpoint.Call, req forgotFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	view := pages.Forgot{Email: req.Email, ReturnURL: returnTarget(c, req.ReturnURL)}
	if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return endpoint.HTML{Status: 400, View: view}, nil
	}
	if err := c.ProveWork(ctx); err != nil {
		view.Error = endpoint.ErrWorkRequired.Code
		return workAnswer(c, err, view)
	}
	if err := c.Auth.ForgotPassword(ctx, c.Client, req.Email, "", view.ReturnURL); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: 200, View: pages.Mailed{Email: req.Email, About: "reset"}}, nil
}

type resetLinkRequest struct {
	Token string `path:"token" rule:"max=128,string"`
}

// resetLink leads from the mail to the page of the site that asked. It consumes
// nothing.
func resetLink(_ context.Context, c *endpoint.Call, req resetLinkRequest) (endpoint.Answer, error) {
	site := siteOf(c, c.TrustedOrigin(c.Request.URL.Query().Get("callbackURL")))
	return endpoint.Redirect{To: site + "/reset-password?token=" + url.QueryEscape(req.Token), Status: http.StatusFound}, nil
}

func resetPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	token := c.Request.URL.Query().Get("token")
	if token == "" {
		return endpoint.HTML{Status: 200, View: pages.Forgot{Error: "LINK_EXPIRED"}}, nil
	}
	return endpoint.HTML{Status: 200, View: pages.Reset{Token: token}}, nil
}

type resetFormRequest struct {
	Token    string `json:"token" rule:"max=128,min=1,string"`
	Password string `json:"password" rule:"max=128,min=8,string"`
}

// resetForm gives the account another password and leads to the sign-in.
func resetForm(ctx context.Context, c *endpoint.Call, req resetFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	view := pages.Reset{Token: req.Token}
	if len(c.FieldErrors) > 0 {
		view.Error = c.FieldText()
		return endpoint.HTML{Status: 400, View: view}, nil
	}
	returnTo, err := c.Auth.ResetPassword(ctx, c.Client, req.Token, req.Password)
	if errors.Is(err, challenge.ErrUnknown) || errors.Is(err, challenge.ErrExpired) {
		return endpoint.HTML{Status: 401, View: pages.Forgot{Error: "LINK_EXPIRED"}}, nil
	}
	if err != nil {
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		view.Error = p.Code
		return endpoint.HTML{Status: p.Status, View: view, RetryAfter: p.RetryAfter}, nil
	}
	query := url.Values{"reset": {"true"}}
	if returnTo != "" {
		query.Set("returnUrl", returnTo)
	}
	return endpoint.Redirect{To: "/login?" + query.Encode()}, nil
}
