// Package provider has the routes of sign-in by others: to begin one, to come back
// from it, to look after the accounts that are linked, and for the ID tokens of
// mobile apps.
//
// # Threat model
//
// What comes back comes by the browser, from anywhere: an answer counts once, in the
// browser that asked, for the provider that was asked, and leads to a target that was
// checked when it was asked. Apple's form comes from its own site, so that the cookie
// it is bound by is SameSite=None; it opens nothing but the flow whose state the form
// must bring along. Who links an account begins by a request of the user's own: a
// foreign site could else have its account linked to theirs.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/usertext"
)

const (
	signInsPath = "/account/sign-ins"
	addressPath = "/login/address"
)

var (
	errOrigin       = &endpoint.Error{Status: 403, Code: "INVALID_ORIGIN", Message: "Invalid origin"}
	errNoOrigin     = &endpoint.Error{Status: 403, Code: "MISSING_OR_NULL_ORIGIN", Message: "Missing or null Origin"}
	errCallback     = &endpoint.Error{Status: 403, Code: "INVALID_CALLBACKURL", Message: "Invalid callbackURL"}
	errAddressTaken = &endpoint.Error{Status: 409, Code: "ADDRESS_TAKEN", Message: "There is an account with this address: sign in to it and link the provider"}
)

// Routes are those of sign-in by others.
func Routes() []endpoint.Route {
	const v1 = "/api/v1/auth"
	unknown := endpoint.AnswerTo(authcore.ErrUnknownProvider)
	begin := []*endpoint.Error{unknown, endpoint.ErrProviderFailed, endpoint.ErrProviderUnavailable, errCallback}
	refusals := slices.Concat(endpoint.AnswersTo(authcore.ErrEmailNotVerified, authcore.ErrLinkedElsewhere, authcore.ErrTooManyAccounts, authcore.ErrInvitation, authcore.ErrInvalidCredentials),
		[]*endpoint.Error{unknown, endpoint.ErrProviderFailed, endpoint.ErrProviderDenied, endpoint.ErrProviderExpired, endpoint.ErrProviderUnavailable,
			endpoint.ErrAccountDisabled, endpoint.ErrAccountNotLinked, endpoint.ErrRegistrationClosed, endpoint.ErrEmailRequired, errAddressTaken})
	taken := []endpoint.Mapping{{Err: authcore.ErrEmailTaken, Answer: errAddressTaken}}
	page := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.PerMinute(30), Mappings: taken, Errors: refusals}
	}
	form := func(summary string) endpoint.Rule {
		rule := page(summary)
		rule.Body = endpoint.Lenient
		return rule
	}
	start := page("To a provider, to sign in there")
	start.Errors = begin
	token := endpoint.Rule{Access: endpoint.Anyone, Body: endpoint.Strict, Limit: endpoint.PerMinute(10), Mappings: taken,
		Errors: append(slices.Clone(refusals), endpoint.ErrSecondFactorNeeded)}
	idToken := func(summary string) endpoint.Rule {
		rule := token
		rule.Summary = summary
		return rule
	}
	routes := []endpoint.Route{
		endpoint.Post("/api/auth/sign-in/social", endpoint.Handle(signIn), endpoint.Rule{Summary: "Begin to sign in with a provider", Access: endpoint.Anyone,
			Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(30), Errors: append(slices.Clone(begin), errOrigin, errNoOrigin)}),
		endpoint.Get("/api/auth/sign-in/social/{provider}", endpoint.Handle(signInPage), start),
		endpoint.Get("/api/auth/callback/{provider}", endpoint.Handle(callback), form("Back from a provider")),
		endpoint.Post("/api/auth/callback/{provider}", endpoint.Handle(callbackForm), form("Back from a provider, by a form of it")),
		endpoint.Post(addressPath, endpoint.Handle(addressForm), form("The address that a provider did not know")),
		endpoint.Post("/api/auth/link-social", endpoint.Handle(link), endpoint.Rule{Summary: "Begin to link an account of a provider", Access: endpoint.Cookie,
			Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(30),
			Errors: append(append(slices.Clone(begin), endpoint.AnswersTo(authcore.ErrNoSession, authcore.ErrUserNotFound)...), endpoint.ErrNotRecent, endpoint.ErrCrossSite)}),
		endpoint.Post(v1+"/google-signin", endpoint.Handle(byIDToken("google")), idToken("Sign in an app with an ID token of Google")),
		endpoint.Post(v1+"/apple-signin", endpoint.Handle(byIDToken("apple")), idToken("Sign in an app with an ID token of Apple")),
		endpoint.Get(v1+"/accounts", endpoint.Handle(list), endpoint.Rule{Summary: "The caller's accounts of providers", Access: endpoint.User, Limit: endpoint.UserLimit}),
		endpoint.Delete(v1+"/accounts/{id}", endpoint.Handle(unlink), endpoint.Rule{Summary: "Unlink an account of a provider", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: append(endpoint.AnswersTo(authcore.ErrAccountNotFound, authcore.ErrLastCredential, authcore.ErrUserNotFound), endpoint.ErrNotRecent)}),
		endpoint.Get(signInsPath, endpoint.Handle(signInsPage), endpoint.Rule{Summary: "The accounts of providers", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post(signInsPath, endpoint.Handle(signInsForm), endpoint.Rule{Summary: "Link or unlink an account of a provider", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page,
			Limit:  endpoint.PerMinute(30),
			Errors: append(endpoint.AnswersTo(authcore.ErrAccountNotFound, authcore.ErrLastCredential, authcore.ErrUserNotFound), unknown, endpoint.ErrProviderFailed, endpoint.ErrProviderUnavailable, errUnknownAction)}),
	}
	for i := range routes {
		routes[i].Enrolling = true // they lead whoever must set a second factor up there
	}
	return routes
}

// checkedTarget is where to go on, checked; ok is false for a place that is not
// trusted.
func checkedTarget(c *endpoint.Call, raw string) (target string, ok bool) {
	if raw == "" {
		return "", true
	}
	return c.Origins().ReturnTarget(raw)
}

type socialRequest struct {
	Provider    string `json:"provider" rule:"max=32,min=1,string"`
	CallbackURL string `json:"callbackURL" rule:"optional,max=4096,string"`
}

// redirectResponse is where the browser goes.
type redirectResponse struct {
	URL      string `json:"url"`
	Redirect bool   `json:"redirect"`
}

// signIn begins a sign-in for a client that leads the browser itself. It must send
// the request with credentials, for the cookie.
func signIn(ctx context.Context, c *endpoint.Call, req socialRequest) (redirectResponse, error) {
	if err := checkOrigin(c); err != nil {
		return redirectResponse{}, err
	}
	return begin(c, req, func(r authcore.ProviderRequest) (authcore.ProviderRedirect, error) {
		return c.Auth.BeginProviderSignIn(ctx, c.Client, r)
	})
}

// link begins to link an account to who is signed in.
func link(ctx context.Context, c *endpoint.Call, req socialRequest) (redirectResponse, error) {
	if err := sso.Owner(ctx, c); err != nil {
		return redirectResponse{}, err
	}
	return begin(c, req, func(r authcore.ProviderRequest) (authcore.ProviderRedirect, error) {
		return c.Auth.BeginProviderLink(ctx, c.Caller, r)
	})
}

func begin(c *endpoint.Call, req socialRequest, do func(authcore.ProviderRequest) (authcore.ProviderRedirect, error)) (redirectResponse, error) {
	if c.BodyErr != nil {
		return redirectResponse{}, c.BodyErr
	}
	if len(c.FieldErrors) > 0 {
		f := c.FieldErrors[0]
		return redirectResponse{}, &endpoint.Error{Status: 400, Code: "VALIDATION_ERROR", Message: "[body." + f.Field + "] Invalid input: " + f.Text}
	}
	target, ok := checkedTarget(c, req.CallbackURL)
	if !ok {
		return redirectResponse{}, errCallback
	}
	r, err := do(authcore.ProviderRequest{Provider: req.Provider, Bindings: sso.Bindings(c), Target: target})
	if err != nil {
		return redirectResponse{}, err
	}
	sso.Bind(c, r)
	return redirectResponse{r.URL, true}, nil
}

// checkOrigin refuses what a foreign site has the browser send. A client without a
// browser's headers needs no Origin.
func checkOrigin(c *endpoint.Call) error {
	h := c.Request.Header
	if origin := h["Origin"]; len(origin) > 0 && !slices.Contains(origin, "null") {
		if c.SameSite() != nil {
			return errOrigin
		}
		return nil
	}
	for _, name := range []string{"Origin", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		if len(h[name]) > 0 {
			return errNoOrigin
		}
	}
	return nil
}

type signInPageRequest struct {
	Provider    string `path:"provider" rule:"max=32,string"`
	CallbackURL string `query:"callbackURL" rule:"optional,max=4096,string"`
	Invitation  string `query:"invitation" rule:"optional,max=128,string"`
}

// signInPage leads to the provider. A target that is not trusted is left out, as on
// the page that signs in.
func signInPage(ctx context.Context, c *endpoint.Call, req signInPageRequest) (endpoint.Answer, error) {
	target := sso.ReturnTarget(c, req.CallbackURL)
	r, err := c.Auth.BeginProviderSignIn(ctx, c.Client, authcore.ProviderRequest{
		Provider: req.Provider, Bindings: sso.Bindings(c), Target: target, Invitation: req.Invitation,
	})
	if err != nil {
		return failed(c, req.Provider, authcore.ProviderOutcome{Purpose: federation.SignIn, Target: target}, err)
	}
	sso.Bind(c, r)
	return endpoint.Redirect{To: r.URL}, nil
}

type callbackRequest struct {
	Provider string `path:"provider" rule:"max=32,string"`
	State    string `query:"state" rule:"optional,max=128,string"`
	Code     string `query:"code" rule:"optional,max=4096,string"`
	Issuer   string `query:"iss" rule:"optional,max=512,string"`
	Fault    string `query:"error" rule:"optional,max=256,string"`
}

func callback(ctx context.Context, c *endpoint.Call, req callbackRequest) (endpoint.Answer, error) {
	return complete(ctx, c, authcore.ProviderAnswer{Provider: req.Provider, State: req.State, Code: req.Code, Issuer: req.Issuer, Fault: req.Fault})
}

type callbackFormRequest struct {
	Provider string `path:"provider" rule:"max=32,string"`
	State    string `json:"state" rule:"optional,max=128,string"`
	Code     string `json:"code" rule:"optional,max=4096,string"`
	Issuer   string `json:"iss" rule:"optional,max=512,string"`
	Fault    string `json:"error" rule:"optional,max=256,string"`
	// User is what Apple says of who signs in for the first time, as JSON.
	User string `json:"user" rule:"optional,max=4096,string"`
}

// callbackForm is callback for a provider that sends the browser back by a form.
func callbackForm(ctx context.Context, c *endpoint.Call, req callbackFormRequest) (endpoint.Answer, error) {
	var user struct {
		Name struct {
			FirstName string `json:"firstName"`
			LastName  string `json:"lastName"`
		} `json:"name"`
	}
	if req.User != "" {
		_ = json.Unmarshal([]byte(req.User), &user) // a name is nothing to fail for
	}
	return complete(ctx, c, authcore.ProviderAnswer{
		Provider: req.Provider, State: req.State, Code: req.Code, Issuer: req.Issuer, Fault: req.Fault,
		Name: strings.TrimSpace(user.Name.FirstName + " " + user.Name.LastName),
	})
}

// complete leads on to where the sign-in, or the link, was to lead.
func complete(ctx context.Context, c *endpoint.Call, a authcore.ProviderAnswer) (endpoint.Answer, error) {
	if len(c.FieldErrors) > 0 {
		a.State, a.Code = "", "" // too long to be ours
	}
	out, err := sso.CompleteProvider(ctx, c, a)
	return outcome(c, a.Provider, out, err)
}

// outcome is the answer to what came of a sign-in with a provider.
func outcome(c *endpoint.Call, providerID string, out authcore.ProviderOutcome, err error) (endpoint.Answer, error) {
	var address *authcore.EmailRequiredError
	switch {
	case errors.As(err, new(*authcore.SecondFactorError)):
		return sso.ToSecondFactor(out.Target), nil
	case errors.As(err, &address):
		return endpoint.HTML{Status: 200, View: pages.Address{Provider: sso.ProviderName(c, providerID), Token: address.Token}}, nil
	case errors.Is(err, authcore.ErrEmailNotVerified):
		c.ForgetGuest()
		return endpoint.HTML{Status: 200, View: pages.Mailed{Email: out.MailedTo, About: "verify"}}, nil
	case err != nil:
		return failed(c, providerID, out, err)
	case out.Purpose == federation.Link && out.Target == "":
		return sso.Done(signInsPath, "linked"), nil
	case out.Purpose != federation.SignIn:
		return sso.Onward(out.Target), nil
	}
	c.ForgetGuest()
	return sso.GoOn(c, out.Browser, out.Target), nil
}

// failed says why nobody was signed in, and leads back to the start.
func failed(c *endpoint.Call, providerID string, out authcore.ProviderOutcome, err error) (endpoint.Answer, error) {
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	view := pages.ProviderFailed{Provider: sso.ProviderName(c, providerID), Code: p.Code, Back: "/login"}
	if errors.Is(err, authcore.ErrUnknownProvider) {
		view.Provider = "" // somebody's text
	}
	switch out.Purpose {
	case federation.Link:
		view.Back = signInsPath
	case federation.Prove:
		view.Back = sso.ReauthenticateFor(out.Target)
	default:
		if out.Target != "" {
			view.Back = sso.LoginFor(out.Target)
		}
		if view.Provider != "" && p != errAddressTaken && p.Status != 404 {
			view.Retry = sso.ProviderPath(providerID, out.Target, "")
		}
	}
	return endpoint.HTML{Status: p.Status, View: view, RetryAfter: p.RetryAfter}, nil
}

type addressFormRequest struct {
	Token string `json:"token" rule:"max=128,min=1,string"`
	Email string `json:"email" rule:"max=254,email"`
}

// addressForm takes the address of somebody whom a provider named without one.
func addressForm(ctx context.Context, c *endpoint.Call, req addressFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	again := func(code string) endpoint.Answer {
		return endpoint.HTML{Status: 400, View: pages.Address{Token: req.Token, Email: req.Email, Error: code}}
	}
	if len(c.FieldErrors) > 0 {
		return again(c.FieldText()), nil
	}
	out, err := sso.CompleteProviderAddress(ctx, c, req.Token, req.Email)
	if errors.Is(err, authcore.ErrInvalidInput) {
		return again("FIELD_email_email"), nil
	}
	var id string
	var refused *authcore.ProviderError
	if errors.As(err, &refused) {
		id = refused.Provider
	}
	return outcome(c, id, out, err)
}

type idTokenRequest struct {
	Token string `json:"token" rule:"max=65536,min=1,string"`
	Nonce string `json:"nonce" rule:"optional,max=512,string"`
	// DeviceInfo has deviceId and deviceName, and more that is not read.
	DeviceInfo json.RawMessage `json:"deviceInfo" rule:"optional,object"`
}

// idTokenResponse is the answer of login, and beside it what mobile apps read.
type idTokenResponse struct {
	sso.TokenResponse
	AppToken string `json:"appToken"`
	Email    string `json:"email"`
}

// byIDToken signs an app in by the ID token that it got from a provider.
func byIDToken(providerID string) func(context.Context, *endpoint.Call, idTokenRequest) (idTokenResponse, error) {
	return func(ctx context.Context, c *endpoint.Call, req idTokenRequest) (idTokenResponse, error) {
		var device map[string]any
		if len(req.DeviceInfo) > 0 {
			if err := json.Unmarshal(req.DeviceInfo, &device); err != nil {
				return idTokenResponse{}, err
			}
		}
		text := func(name string) string { // what is no text is nothing to fail for
			value, _ := device[name].(string)
			return usertext.Clean(value, 255)
		}
		c.Client.DeviceID, c.Client.DeviceName = text("deviceId"), text("deviceName")
		sso.Known(c)
		tokens, err := c.Auth.SignInByIDToken(ctx, c.Client, providerID, req.Token, req.Nonce)
		if err != nil {
			return idTokenResponse{}, sso.Asked(c, err)
		}
		c.ForgetGuest()
		answer := sso.TokensOf(tokens)
		return idTokenResponse{answer, answer.AccessToken, tokens.User.Email}, nil
	}
}

type linkedAccount struct {
	ID         string         `json:"id"`
	Provider   string         `json:"provider"`
	AccountID  string         `json:"accountId"`
	Email      *string        `json:"email"`
	LinkedAt   endpoint.Time  `json:"linkedAt"`
	LastUsedAt *endpoint.Time `json:"lastUsedAt"`
}

func list(ctx context.Context, c *endpoint.Call, _ endpoint.None) ([]linkedAccount, error) {
	all, err := c.Auth.LinkedAccounts(ctx, c.Caller)
	out := make([]linkedAccount, len(all))
	for i, a := range all {
		out[i] = linkedAccount{a.ID, a.Provider, a.Subject, a.Email, endpoint.Time(a.CreatedAt), endpoint.TimeOf(a.LastUsedAt)}
	}
	return out, err
}

type unlinkRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

type unlinkedResponse struct {
	Success bool `json:"success"`
}

func unlink(ctx context.Context, c *endpoint.Call, req unlinkRequest) (unlinkedResponse, error) {
	return unlinkedResponse{true}, c.Auth.UnlinkAccount(ctx, c.Caller, req.ID)
}
