package page

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// goOn leads who has just signed in to the checked target.
func goOn(target string) endpoint.Redirect {
	if target == "" {
		target = defaultTarget
	}
	return endpoint.Redirect{To: target}
}

// toSecondFactor leads to the page that asks for the second factor.
func toSecondFactor(target string) endpoint.Redirect {
	to := "/two-factor"
	if target != "" {
		to += "?returnUrl=" + url.QueryEscape(target)
	}
	return endpoint.Redirect{To: to}
}

// twoFactorPage asks for the second factor of a sign-in that is under way.
func twoFactorPage(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	target := returnTarget(c, query.Get("returnUrl"))
	if sso.Challenge(c) == "" {
		return endpoint.Redirect{To: loginFor(target)}, nil
	}
	return twoFactorAnswer(200, pages.TwoFactor{ReturnURL: target, Backup: query.Get("method") == string(authcore.FactorBackupCode)}), nil
}

func twoFactorAnswer(status int, view pages.TwoFactor) endpoint.HTML {
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}
}

type twoFactorFormRequest struct {
	Code        string `json:"code" rule:"max=64,string"`
	Method      string `json:"method" rule:"optional,string"`
	TrustDevice string `json:"trustDevice" rule:"optional,string"`
	ReturnURL   string `json:"returnUrl" rule:"optional,string"`
}

// twoFactorForm takes the code and goes on to the checked target.
func twoFactorForm(ctx context.Context, c *endpoint.Call, req twoFactorFormRequest) (endpoint.Answer, error) {
	if err := ownForm(c); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.TwoFactor{ReturnURL: target, Backup: req.Method == string(authcore.FactorBackupCode)}
	kind := authcore.FactorTOTP
	if view.Backup {
		kind = authcore.FactorBackupCode
	}
	_, err := sso.Complete(ctx, c, authcore.FactorAnswer{Kind: kind, Code: req.Code, TrustDevice: req.TrustDevice != ""})
	switch {
	case err == nil:
		return goOn(target), nil
	case errors.Is(err, authcore.ErrSecondFactorExpired), errors.Is(err, authcore.ErrInvalidCredentials):
		return endpoint.HTML{Status: 401, View: pages.Login{ReturnURL: target, Error: "TWO_FACTOR_EXPIRED"}, FormTarget: endpoint.OriginOf(target)}, nil
	}
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	view.Error = p.Code
	out := twoFactorAnswer(p.Status, view)
	out.RetryAfter = p.RetryAfter
	return out, nil
}

// ownerOf names who is signed in, or leads to the sign-in and back to the page.
func ownerOf(ctx context.Context, c *endpoint.Call, page string) (endpoint.Answer, error) {
	return sso.OrSignIn(ctx, c, page)
}

// reauthenticatePage asks who is signed in to show once more who they are. Who
// needs a second factor for where they want to go, and has none, sets one up.
func reauthenticatePage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	target := returnTarget(c, c.Request.URL.Query().Get("returnUrl"))
	if away, err := ownerOf(ctx, c, target); away != nil || err != nil {
		return away, err
	}
	more := c.Request.URL.Query().Get("amr") != ""
	if more {
		state, err := c.Auth.TwoFactor(ctx, c.Caller)
		if err != nil {
			return nil, err
		}
		if !state.Enabled {
			return endpoint.Redirect{To: securityPath}, nil
		}
	}
	return reauthenticateAnswer(ctx, c, 200, pages.Reauthenticate{ReturnURL: target, FactorOnly: more})
}

// reauthenticateAnswer offers the ways that the account has; only a second factor
// where more than one is wanted.
func reauthenticateAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Reauthenticate) (endpoint.Answer, error) {
	methods, err := c.Auth.ProofMethods(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	for _, m := range methods {
		switch m {
		case authcore.FactorPassword:
			view.Password = !view.FactorOnly
		case authcore.FactorTOTP:
			view.Code = true
		case authcore.FactorEmailCode:
			view.Mail = !view.FactorOnly
		}
	}
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}, nil
}

type reauthenticateFormRequest struct {
	Password  string `json:"password" rule:"optional,max=1024,string"`
	Code      string `json:"code" rule:"optional,max=64,string"`
	Mail      string `json:"mail" rule:"optional,string"`
	Factor    string `json:"factor" rule:"optional,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

func reauthenticateForm(ctx context.Context, c *endpoint.Call, req reauthenticateFormRequest) (endpoint.Answer, error) {
	if err := ownForm(c); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Reauthenticate{ReturnURL: target, FactorOnly: req.Factor != ""}
	if away, err := ownerOf(ctx, c, target); away != nil || err != nil {
		return away, err
	}
	if req.Mail != "" {
		if err := c.Auth.MailSignIn(ctx, c.Client, c.Email, ""); err != nil {
			return nil, err
		}
		return reauthenticateAnswer(ctx, c, 200, view)
	}
	_, err := c.Auth.Reauthenticate(ctx, c.Caller, authcore.Reauthentication{Password: req.Password, Code: req.Code})
	if err == nil {
		return goOn(target), nil
	}
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	view.Error = p.Code
	return reauthenticateAnswer(ctx, c, p.Status, view)
}
