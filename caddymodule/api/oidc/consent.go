package oidc

import (
	"context"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// consentPage asks what a client may have, whose request the question holds.
func consentPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	code := c.Request.URL.Query().Get("consent_code")
	b, away, err := signedIn(ctx, c)
	if away != nil || err != nil {
		return away, err
	}
	known, query, err := c.Auth.ConsentQuestion(ctx, b, code)
	if err != nil {
		return nil, err
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	return endpoint.HTML{
		Status: 200, View: pages.Consent{Name: known.Name, Email: c.Email, Code: code, Scopes: scopesOf(known, query)},
		FormTarget: sso.FormSource(params.Get("redirect_uri")),
	}, nil
}

// signedIn is the browser's session. Who has none is led to the sign-in and back.
func signedIn(ctx context.Context, c *endpoint.Call) (authcore.BrowserSession, endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, c.Request.URL.RequestURI()); away != nil || err != nil {
		return authcore.BrowserSession{}, away, err
	}
	b, err := c.Auth.BrowserSession(ctx, c.Request.Header["Cookie"])
	return b, nil, err
}

// scopesOf are those of an authorization request that its client may have.
func scopesOf(known openid.Client, query string) []string {
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil
	}
	return known.Allowed(strings.Fields(params.Get("scope")))
}

type consentFormRequest struct {
	Code     string `json:"consent_code" rule:"max=128,min=1,string"`
	Decision string `json:"decision" rule:"max=16,string"`
}

// consentForm takes the answer and leads to the client.
func consentForm(ctx context.Context, c *endpoint.Call, req consentFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, openid.ErrConsent
	}
	to, err := decide(ctx, c, req.Code, req.Decision == "allow")
	if err != nil {
		return nil, err
	}
	return endpoint.Redirect{To: to}, nil
}

// decide takes the answer to a question, and returns where the browser goes with it.
func decide(ctx context.Context, c *endpoint.Call, code string, accept bool) (string, error) {
	b, err := sso.Caller(ctx, c)
	if err != nil {
		return "", err
	}
	known, query, err := c.Auth.AnswerConsent(ctx, c.Client, b, code, accept, scopesOf)
	if err != nil {
		return "", err
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	redirect := params.Get("redirect_uri")
	if !known.RedirectsTo(redirect) { // it was changed since
		return "", openid.ErrConsent
	}
	to := response(redirect, url.Values{"error": {string(oidc.AccessDenied)}}, params.Get("state"))
	if accept {
		if to, err = authorized(ctx, c, b, known, params); err != nil {
			return "", err
		}
	}
	return withIssuer(to, c.Auth.Issuer()), nil
}

type consentRequest struct {
	Accept *bool  `json:"accept" rule:"optional"`
	Code   string `json:"consent_code" rule:"max=128,string"`
}

// ConsentAnsweredResponse is where the browser goes.
type ConsentAnsweredResponse struct {
	RedirectURI string `json:"redirectURI"`
}

// consentAnswer is [consentForm] for a script of ours.
func consentAnswer(ctx context.Context, c *endpoint.Call, req consentRequest) (ConsentAnsweredResponse, error) {
	if err := c.SameSite(); err != nil {
		return ConsentAnsweredResponse{}, err
	}
	to, err := decide(ctx, c, req.Code, req.Accept != nil && *req.Accept)
	return ConsentAnsweredResponse{RedirectURI: to}, err
}

// devicePage asks for the code that a device shows and, where there is one in the address,
// whether the device may have what it asks for.
func devicePage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	_, away, err := signedIn(ctx, c)
	if away != nil || err != nil {
		return away, err
	}
	return endpoint.HTML{Status: 200, View: pages.DeviceCode{Code: formatted(c.Request.URL.Query().Get("user_code"))}}, nil
}

// formatted is a user code as devices show it.
func formatted(text string) string {
	plain := openid.PlainUserCode(text)
	if len(plain) != 8 {
		return ""
	}
	return plain[:4] + "-" + plain[4:]
}

type deviceFormRequest struct {
	Code     string `json:"user_code" rule:"max=64,min=1,string"`
	Decision string `json:"decision" rule:"optional,max=16,string"`
}

// deviceForm shows what the device of a code asks for, and then takes the answer. A code
// is tried here alone, for it is short: ten a minute from one address.
func deviceForm(ctx context.Context, c *endpoint.Call, req deviceFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	b, away, err := signedIn(ctx, c)
	if away != nil || err != nil {
		return away, err
	}
	code := formatted(req.Code)
	refused := func(err error) (endpoint.Answer, error) {
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		return endpoint.HTML{Status: p.Status, View: pages.DeviceCode{Error: p.Code}}, nil
	}
	if code == "" {
		return refused(openid.ErrUserCode)
	}
	if req.Decision == "" {
		known, scopes, err := c.Auth.WaitingDevice(ctx, code)
		if err != nil {
			return refused(err)
		}
		return endpoint.HTML{Status: 200, View: pages.DeviceCode{Code: code, Name: known.Name, Email: c.Email, Scopes: scopes}}, nil
	}
	allow := req.Decision == "allow"
	if err := c.Auth.DecideDevice(ctx, c.Client, b, code, allow); err != nil {
		return refused(err)
	}
	view := pages.DeviceCode{Decided: "refused"}
	if allow {
		view.Decided = "allowed"
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}
