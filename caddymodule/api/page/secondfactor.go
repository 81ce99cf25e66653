package page

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// goOn leads who has just signed in to the checked target; who must set a second
// factor up before, there first.
func goOn(c *endpoint.Call, b authcore.BrowserSession, target string) endpoint.Redirect {
	return sso.GoOn(c, b, target)
}

// onward leads to the checked target.
func onward(target string) endpoint.Redirect {
	return sso.Onward(target)
}

// toSecondFactor leads to the page that asks for the second factor.
func toSecondFactor(target string) endpoint.Redirect {
	return sso.ToSecondFactor(target)
}

// twoFactorPage asks for the second factor of a sign-in that is under way.
func twoFactorPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	return twoFactorAnswer(ctx, c, 200, pages.TwoFactor{
		ReturnURL: returnTarget(c, query.Get("returnUrl")), Backup: query.Get("method") == string(authcore.FactorBackupCode),
	})
}

// twoFactorAnswer offers what the account has. A sign-in that is over begins anew.
func twoFactorAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.TwoFactor) (endpoint.Answer, error) {
	methods, err := c.Auth.PendingSecondFactor(ctx, sso.Challenge(c))
	if errors.Is(err, authcore.ErrSecondFactorExpired) {
		return endpoint.Redirect{To: sso.LoginFor(view.ReturnURL)}, nil
	}
	if err != nil {
		return nil, err
	}
	view.Passkey = slices.Contains(methods, authcore.FactorPasskey)
	return endpoint.HTML{Status: status, View: view, FormTarget: sso.FormTarget(c, view.ReturnURL)}, nil
}

// twoFactorFormRequest has a code, or what a passkey answered.
type twoFactorFormRequest struct {
	Code        string `json:"code" rule:"optional,max=64,string"`
	Response    string `json:"response" rule:"optional,max=65536,string"`
	Method      string `json:"method" rule:"optional,string"`
	TrustDevice string `json:"trustDevice" rule:"optional,string"`
	ReturnURL   string `json:"returnUrl" rule:"optional,string"`
}

// twoFactorForm takes the code, or the passkey, and goes on to the checked target.
func twoFactorForm(ctx context.Context, c *endpoint.Call, req twoFactorFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.TwoFactor{ReturnURL: target, Backup: req.Method == string(authcore.FactorBackupCode)}
	kind := authcore.FactorTOTP
	if view.Backup {
		kind = authcore.FactorBackupCode
	}
	var b authcore.BrowserSession
	var err error
	if req.Response != "" {
		b, err = sso.CompleteByPasskey(ctx, c, sso.PasskeyAnswer(c, json.RawMessage(req.Response)))
	} else {
		b, err = sso.Complete(ctx, c, authcore.FactorAnswer{Kind: kind, Code: req.Code, TrustDevice: req.TrustDevice != ""})
	}
	switch {
	case err == nil:
		return goOn(c, b, target), nil
	case errors.Is(err, authcore.ErrSecondFactorExpired), errors.Is(err, authcore.ErrInvalidCredentials):
		return endpoint.HTML{Status: 401, View: loginView(c, pages.Login{ReturnURL: target, Error: "TWO_FACTOR_EXPIRED"}), FormTarget: sso.FormTarget(c, target)}, nil
	}
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	view.Error = p.Code
	out, err := twoFactorAnswer(ctx, c, p.Status, view)
	if page, ok := out.(endpoint.HTML); ok {
		page.RetryAfter = p.RetryAfter
		return page, err
	}
	return out, err
}

// reauthenticatePage asks who is signed in to show once more who they are. Who
// needs a second factor for where they want to go, and has none, sets one up.
func reauthenticatePage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	target := returnTarget(c, c.Request.URL.Query().Get("returnUrl"))
	if away, err := sso.SignedIn(ctx, c, target); away != nil || err != nil {
		return away, err
	}
	more := c.Request.URL.Query().Get("amr") != ""
	if more {
		state, err := c.Auth.TwoFactor(ctx, c.Caller)
		if err != nil {
			return nil, err
		}
		if !state.Enabled {
			return endpoint.Redirect{To: "/account/two-factor"}, nil
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
		case authcore.FactorPasskey:
			view.Passkey = true
		case authcore.FactorEmailCode:
			view.Mail = !view.FactorOnly
		case authcore.FactorProvider:
			if view.FactorOnly {
				continue
			}
			if view.Providers, err = linkedProviders(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	view.Email = c.Email
	return endpoint.HTML{Status: status, View: view, FormTarget: sso.FormTarget(c, view.ReturnURL)}, nil
}

// linkedProviders are those that the account is linked to, each once.
func linkedProviders(ctx context.Context, c *endpoint.Call) (list []pages.ProviderChoice, err error) {
	accounts, err := c.Auth.LinkedAccounts(ctx, c.Caller)
	for _, a := range accounts {
		choice := pages.ProviderChoice{ID: a.Provider, Name: a.ProviderName}
		if a.Offered && !slices.Contains(list, choice) {
			list = append(list, choice)
		}
	}
	return list, err
}

type reauthenticateFormRequest struct {
	// Provider is one to show it at.
	Provider  string `json:"provider" rule:"optional,max=32,string"`
	Password  string `json:"password" rule:"optional,max=1024,string"`
	Code      string `json:"code" rule:"optional,max=64,string"`
	Response  string `json:"response" rule:"optional,max=65536,string"`
	Mail      string `json:"mail" rule:"optional,string"`
	Other     string `json:"other" rule:"optional,string"` // to sign in with another account
	Factor    string `json:"factor" rule:"optional,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

func reauthenticateForm(ctx context.Context, c *endpoint.Call, req reauthenticateFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	view := pages.Reauthenticate{ReturnURL: target, FactorOnly: req.Factor != ""}
	if away, err := sso.SignedIn(ctx, c, target); away != nil || err != nil {
		return away, err
	}
	if req.Other != "" {
		if err := sso.End(ctx, c); err != nil {
			return nil, err
		}
		return endpoint.Redirect{To: sso.LoginFor(target)}, nil
	}
	if req.Mail != "" {
		if err := c.Auth.MailSignIn(ctx, c.Client, c.Email, ""); err != nil {
			return nil, err
		}
		return reauthenticateAnswer(ctx, c, 200, view)
	}
	if req.Provider != "" {
		redirect, err := c.Auth.BeginProviderProof(ctx, c.Caller, authcore.ProviderRequest{Provider: req.Provider, Bindings: sso.Bindings(c), Target: target})
		if err != nil {
			return sso.Refused(c, err, "/reauthenticate", func(status int, code string) (endpoint.Answer, error) {
				view.Error = code
				return reauthenticateAnswer(ctx, c, status, view)
			})
		}
		return sso.LeaveFor(c, redirect, sso.ProviderName(c, req.Provider)), nil
	}
	shown := authcore.Reauthentication{Password: req.Password, Code: req.Code}
	if req.Response != "" {
		answer := sso.PasskeyAnswer(c, json.RawMessage(req.Response))
		shown = authcore.Reauthentication{Passkey: &answer}
	}
	_, err := c.Auth.Reauthenticate(ctx, c.Caller, shown)
	if err == nil {
		return onward(target), nil
	}
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	view.Error = p.Code
	return reauthenticateAnswer(ctx, c, p.Status, view)
}
