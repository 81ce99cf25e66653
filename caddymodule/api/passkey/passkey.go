// Package passkey has the routes of passkeys (WebAuthn level 3): to make them, to
// sign in with them, and to look after them.
package passkey

import (
	"context"
	"encoding/json"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
)

// Routes are those of passkeys.
func Routes() []endpoint.Route {
	const at = "/api/v1/auth/passkeys"
	rule := func(summary string, access endpoint.Access, limit endpoint.Limit, errs ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: access, Limit: limit, Errors: errs}
	}
	errExists, errTooMany, errNotFound := endpoint.AnswerTo(passkey.ErrExists), endpoint.AnswerTo(passkey.ErrTooMany), endpoint.AnswerTo(passkey.ErrNotFound)
	errName, errLast := endpoint.AnswerTo(passkey.ErrInvalidInput), endpoint.AnswerTo(authcore.ErrLastCredential)
	none := endpoint.AnswerTo(authcore.ErrNoPasskeys)
	owner := append(endpoint.AnswersTo(authcore.ErrUserNotFound, authcore.ErrNoSession), endpoint.ErrNotRecent, endpoint.ErrCrossSite, none)
	with := func(more ...*endpoint.Error) []*endpoint.Error { return append(more, owner...) }
	return []endpoint.Route{
		endpoint.Get(at+"/capability", endpoint.Handle(capability), rule("Whether passkeys can be used, and for which domain", endpoint.Anyone, endpoint.BackEndLimit)),
		endpoint.Post(at+"/register/options", endpoint.Handle(newOptions), rule("Begin to make a passkey", endpoint.Cookie, endpoint.PerMinute(30), with(errTooMany)...)),
		endpoint.Post(at+"/register/verify", endpoint.Handle(register), rule("Keep a passkey that was made", endpoint.Cookie, endpoint.PerMinute(10), with(endpoint.ErrPasskeyFailed, errExists, errTooMany, errName)...)),
		endpoint.Post(at+"/authenticate/options", endpoint.Handle(useOptions), rule("Begin to sign in with a passkey", endpoint.Anyone, endpoint.PerMinute(30),
			append(endpoint.AnswersTo(authcore.ErrSecondFactorExpired), errNotFound, none)...)),
		endpoint.Post(at+"/authenticate/verify", endpoint.Handle(authenticate), rule("Sign in with a passkey", endpoint.Anyone, endpoint.PerMinute(10),
			append(endpoint.AnswersTo(authcore.ErrEmailNotVerified), endpoint.ErrPasskeyFailed, endpoint.ErrSecondFactorNeeded, none)...)),
		endpoint.Post("/api/v1/auth/login/second-factor/passkey", endpoint.Handle(completeLogin), rule("Complete a sign-in with a passkey", endpoint.Anyone, endpoint.PerMinute(10),
			append(endpoint.AnswersTo(authcore.ErrSecondFactorExpired, authcore.ErrInvalidCredentials), endpoint.ErrPasskeyFailed, none)...)),
		endpoint.Get(at, endpoint.Handle(list), rule("The caller's passkeys", endpoint.User, endpoint.UserLimit)),
		endpoint.Patch(at+"/{id}", endpoint.Handle(rename), rule("Give a passkey another name", endpoint.User, endpoint.UserLimit, append(endpoint.AnswersTo(authcore.ErrUserNotFound), errNotFound, errName)...)),
		endpoint.Delete(at+"/{id}", endpoint.Handle(remove), rule("Delete a passkey", endpoint.User, endpoint.UserLimit, append(endpoint.AnswersTo(authcore.ErrUserNotFound), errNotFound, errLast, endpoint.ErrNotRecent)...)),
	}
}

type capabilityResponse struct {
	Enabled                bool   `json:"enabled"`
	ConditionalUIAvailable bool   `json:"conditionalUIAvailable"`
	RPID                   string `json:"rpId"`
}

func capability(_ context.Context, c *endpoint.Call, _ endpoint.None) (capabilityResponse, error) {
	domain, ok := c.Auth.PasskeyDomain()
	return capabilityResponse{ok, ok, domain}, nil
}

// begin keeps the state of a ceremony in the browser and answers with the options
// as they are.
func begin(c *endpoint.Call, ceremony authcore.Ceremony, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	c.SetCookie(c.Auth.Cookies().PasskeyChallenge().Set(ceremony.State, passkey.StateTTL))
	return ceremony.Options, nil
}

func newOptions(ctx context.Context, c *endpoint.Call, _ endpoint.None) (json.RawMessage, error) {
	if err := sso.Owner(ctx, c); err != nil {
		return nil, err
	}
	ceremony, err := c.Auth.NewPasskey(ctx, c.Caller)
	return begin(c, ceremony, err)
}

type registerRequest struct {
	Response json.RawMessage `json:"response" rule:"object"`
	Name     string          `json:"name" rule:"optional,max=255,string"`
}

type passkeyView struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	CreatedAt  endpoint.Time  `json:"createdAt"`
	LastUsedAt *endpoint.Time `json:"lastUsedAt"`
	DeviceType string         `json:"deviceType"`
	BackedUp   bool           `json:"backedUp"`
	Transports []string       `json:"transports"`
}

func viewOf(p passkey.Passkey) passkeyView {
	return passkeyView{p.ID, p.Name, endpoint.Time(p.CreatedAt), endpoint.TimeOf(p.LastUsedAt), p.DeviceType, p.BackedUp, p.Transports}
}

func register(ctx context.Context, c *endpoint.Call, req registerRequest) (passkeyView, error) {
	if err := sso.Owner(ctx, c); err != nil {
		return passkeyView{}, err
	}
	made, err := c.Auth.AddPasskey(ctx, c.Caller, sso.PasskeyAnswer(c, req.Response).State, req.Response, req.Name)
	return viewOf(made), err
}

type useOptionsRequest struct {
	// Email changes nothing: what is answered tells nothing of accounts.
	Email     string `json:"email" rule:"optional,max=254,string"`
	Challenge string `json:"challenge" rule:"optional,max=128,string"`
	// SecondFactor means the challenge that the browser's cookie holds.
	SecondFactor *bool `json:"secondFactor" rule:"optional"`
}

func useOptions(ctx context.Context, c *endpoint.Call, req useOptionsRequest) (json.RawMessage, error) {
	if req.SecondFactor != nil && *req.SecondFactor && req.Challenge == "" {
		if req.Challenge = sso.Challenge(c); req.Challenge == "" {
			return nil, authcore.ErrSecondFactorExpired
		}
	}
	ceremony, err := c.Auth.UsePasskey(ctx, req.Challenge)
	return begin(c, ceremony, err)
}

type authenticateRequest struct {
	Response   json.RawMessage `json:"response" rule:"object"`
	DeviceID   string          `json:"deviceId" rule:"optional,max=255,string"`
	DeviceName string          `json:"deviceName" rule:"optional,max=255,string"`
}

// authenticate signs in both the browser, by the SSO cookie, and the app that
// asked.
func authenticate(ctx context.Context, c *endpoint.Call, req authenticateRequest) (sso.TokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	return sso.SignInByPasskey(ctx, c, sso.PasskeyAnswer(c, req.Response))
}

type completeRequest struct {
	Challenge  string          `json:"challenge" rule:"max=128,string"`
	Response   json.RawMessage `json:"response" rule:"object"`
	DeviceID   string          `json:"deviceId" rule:"optional,max=255,string"`
	DeviceName string          `json:"deviceName" rule:"optional,max=255,string"`
}

func completeLogin(ctx context.Context, c *endpoint.Call, req completeRequest) (sso.TokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	tokens, err := c.Auth.CompleteSignInByPasskey(ctx, c.Client, req.Challenge, sso.PasskeyAnswer(c, req.Response))
	sso.Completed(c, "", err)
	if err != nil {
		return sso.TokenResponse{}, err
	}
	return sso.TokensOf(tokens), nil
}

func list(ctx context.Context, c *endpoint.Call, _ endpoint.None) ([]passkeyView, error) {
	all, err := c.Auth.Passkeys(ctx, c.Caller)
	out := make([]passkeyView, len(all))
	for i, p := range all {
		out[i] = viewOf(p)
	}
	return out, err
}

type renameRequest struct {
	ID           string `path:"id" rule:"max=64,string"`
	FriendlyName string `json:"friendlyName" rule:"max=255,min=1,string"`
}

func rename(ctx context.Context, c *endpoint.Call, req renameRequest) (passkeyView, error) {
	p, err := c.Auth.RenamePasskey(ctx, c.Caller, req.ID, req.FriendlyName)
	return viewOf(p), err
}

type removeRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

type removedResponse struct {
	Success bool `json:"success"`
}

func remove(ctx context.Context, c *endpoint.Call, req removeRequest) (removedResponse, error) {
	return removedResponse{true}, c.Auth.RemovePasskey(ctx, c.Caller, req.ID)
}
