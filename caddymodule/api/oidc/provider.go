package oidc

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// provider implements [op.Server].
type provider struct{ op.UnimplementedServer }

// client shows a client to the library. Which address it may be led back to has been
// decided before.
type client struct {
	openid.Client
	redirect string
}

func (c client) GetID() string                       { return c.ID }
func (c client) RedirectURIs() []string              { return []string{c.redirect} }
func (c client) PostLogoutRedirectURIs() []string    { return c.Client.PostLogoutRedirectURIs }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c client) LoginURL(string) string               { return "" }
func (c client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c client) IDTokenLifetime() time.Duration       { return openid.TokenTTL }
func (c client) DevMode() bool                        { return true }
func (c client) IsScopeAllowed(scope string) bool     { return slices.Contains(c.Scopes, scope) }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) ClockSkew() time.Duration             { return 0 }

func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return same }
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return same }

func same(scopes []string) []string { return scopes }

// AuthMethod is how the client shows who it is: by its secret, in whatever of the two
// ways, or by nothing.
func (c client) AuthMethod() oidc.AuthMethod {
	if c.Public {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

// GrantTypes are those the client may use.
func (c client) GrantTypes() []oidc.GrantType {
	list := make([]oidc.GrantType, len(c.Client.GrantTypes))
	for i, g := range c.Client.GrantTypes {
		list[i] = oidc.GrantType(g)
	}
	return list
}

// VerifyAuthRequest implements [op.Server]: whose request it is, and that the answer may
// go where it asks. Nobody is led anywhere before.
func (provider) VerifyAuthRequest(ctx context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	x := exchangeOf(ctx)
	refuse := func(f *fault) (*op.ClientRequest[oidc.AuthRequest], error) {
		x.fault = f
		return nil, oidc.ErrInvalidRequestRedirectURI()
	}
	if r.Data.ClientID == "" {
		return refuse(malformed("client_id is missing"))
	}
	known, err := x.call.Auth.OpenIDClient(ctx, r.Data.ClientID)
	switch {
	case errors.Is(err, openid.ErrUnknownClient):
		return refuse(&fault{kind: string(oidc.InvalidClient), description: "there is no such client", code: "INVALID_CLIENT", message: "Invalid client"})
	case err != nil:
		return nil, told(x.trouble(ctx, err))
	case !known.RedirectsTo(r.Data.RedirectURI):
		return refuse(&fault{kind: string(oidc.InvalidRequest), description: "redirect_uri is not registered for this client", code: "INVALID_REDIRECT_URI", message: "Invalid redirect URI"})
	}
	x.redirect = r.Data.RedirectURI
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: client{known, r.Data.RedirectURI}}, nil
}

// Authorize implements [op.Server] (OpenID Connect Core, section 3.1.2).
func (provider) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	x := exchangeOf(ctx)
	to, err := x.authorize(ctx, r)
	if err != nil {
		return x.refusedTo(err, r.Data.State), nil
	}
	return to, nil
}

func (x *exchange) authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	known := r.Client.(client).Client
	ask := authorization{x: x, AuthRequest: r.Data, client: known, params: r.Form}
	if err := ask.check(); err != nil {
		return nil, err
	}
	browser, err := sso.Caller(ctx, x.call)
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return ask.toSignIn()
	case errors.Is(err, authcore.ErrSecondFactorMissing):
		if ask.silent() {
			return nil, oidc.ErrInteractionRequired()
		}
		return op.NewRedirect(endpoint.Enrollment(ask.again(ask.params))), nil
	case errors.Is(err, authcore.ErrSessionConflict):
		return nil, oidc.ErrLoginRequired().WithDescription("the browser is signed in twice")
	case err != nil:
		return nil, x.trouble(ctx, err)
	}
	if fresh, err := ask.fresh(browser); err != nil {
		return nil, err
	} else if !fresh {
		return ask.toReauthentication()
	}
	if ask.needsMore(browser) {
		return ask.toSecondFactor()
	}
	asks, err := x.call.Auth.NeedsConsent(ctx, browser.UserID(), known, ask.scopes)
	if err != nil {
		return nil, x.trouble(ctx, err)
	}
	if asks || ask.has(oidc.PromptConsent) {
		return ask.toConsent(ctx, browser)
	}
	return ask.lead(ctx, browser)
}

// authorization is the request of a client that is known, to be led back to an
// address that is registered.
type authorization struct {
	*oidc.AuthRequest
	x      *exchange
	client openid.Client
	params url.Values
	scopes []string // of those asked for, the ones the client may have
}

// authenticatedAfter is a parameter of ours: it takes the place of prompt=login once the
// browser is on its way to show who uses it.
const authenticatedAfter = "authenticated_after"

const reauthenticatePath = "/reauthenticate"

// has reports whether the client asks for a prompt.
func (q *authorization) has(prompt string) bool { return slices.Contains(q.Prompt, prompt) }

// silent reports whether no page may be shown.
func (q *authorization) silent() bool { return q.has(oidc.PromptNone) }

// check refuses what this provider does not do.
func (q *authorization) check() error {
	q.scopes = q.client.Allowed(q.Scopes)
	switch {
	case !q.client.May(openid.GrantCode):
		return oidc.ErrUnauthorizedClient().WithDescription("the client may not use authorization codes")
	case q.RequestParam != "":
		return oidc.ErrRequestNotSupported()
	case q.params.Has("request_uri"):
		return &oidc.Error{ErrorType: "request_uri_not_supported"}
	case q.params.Has("registration"):
		return &oidc.Error{ErrorType: "registration_not_supported"}
	case q.ResponseMode != "" && q.ResponseMode != oidc.ResponseModeQuery:
		return oidc.ErrInvalidRequest().WithDescription("response_mode must be query")
	case len(q.scopes) == 0:
		return oidc.ErrInvalidScope().WithDescription("the client may have none of these scopes")
	case q.CodeChallenge == "" && q.CodeChallengeMethod != "":
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is missing")
	case q.CodeChallenge == "" && q.client.Public:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is missing: a client without a secret must use PKCE")
	case q.CodeChallenge != "" && q.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	case q.CodeChallenge != "" && !openid.ChallengeFits(q.CodeChallenge):
		return oidc.ErrInvalidRequest().WithDescription("code_challenge must be 43 characters of base64url")
	case len(q.Nonce) > 512:
		return oidc.ErrInvalidRequest().WithDescription("nonce has more than 512 bytes")
	}
	return nil
}

// fresh reports whether the browser's user showed who they are lately enough, and is
// whom the client means.
func (q *authorization) fresh(b authcore.BrowserSession) (bool, error) {
	shown := b.Session().AuthenticatedAt
	after, _ := strconv.ParseInt(q.params.Get(authenticatedAfter), 10, 64)
	satisfied := after > 0 && shown.Unix() >= after
	stale := after > 0 && !satisfied || !satisfied && (q.has(oidc.PromptLogin) || q.has(oidc.PromptSelectAccount) ||
		q.MaxAge != nil && q.x.call.Now().Sub(shown) > time.Duration(*q.MaxAge)*time.Second)
	if q.IDTokenHint != "" {
		hint, err := hintOf(q.x.call, q.IDTokenHint)
		if err != nil {
			return false, oidc.ErrInvalidRequest().WithDescription("id_token_hint is none of this provider")
		}
		if hint.Subject != b.UserID() {
			return false, oidc.ErrLoginRequired().WithDescription("another user is signed in")
		}
	}
	if stale && q.silent() {
		return false, oidc.ErrLoginRequired()
	}
	return !stale, nil
}

// needsMore reports whether the client prefers more than one factor (acr_values, in order
// of preference), and the user, who has a second one, has shown one. Others are let in as
// they are: the acr of the ID token tells (OpenID Connect Core, section 5.5.1.1).
func (q *authorization) needsMore(b authcore.BrowserSession) bool {
	return len(q.ACRValues) > 0 && q.ACRValues[0] == acrManyFactors && acrOf(b.Session()) != acrManyFactors && b.User().SecondFactor && !q.silent()
}

// inLanguage has a page shown in the first of the languages of ui_locales that there is,
// but to whom has chosen one.
func (q *authorization) inLanguage(query url.Values) url.Values {
	if q.x.call.ChoseLanguage() {
		return query
	}
	for tag := range strings.FieldsSeq(q.params.Get("ui_locales")) {
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if language, ok := pages.Named(primary); ok {
			query.Set(pages.LanguageParam, string(language))
			break
		}
	}
	return query
}

// again is this request as an address of ours.
func (q *authorization) again(params url.Values) string { return base + "authorize?" + params.Encode() }

// prompted are the parameters once the browser is on its way to show who uses it.
func (q *authorization) prompted() url.Values {
	params := maps.Clone(q.params)
	rest := slices.DeleteFunc(slices.Clone([]string(q.Prompt)), func(p string) bool { return p == oidc.PromptLogin || p == oidc.PromptSelectAccount })
	params.Del("prompt")
	if len(rest) > 0 {
		params.Set("prompt", strings.Join(rest, " "))
	}
	params.Set(authenticatedAfter, strconv.FormatInt(q.x.call.Now().Unix(), 10))
	return params
}

// toSignIn leads who is not signed in to the sign-in, which has the whole request in its
// address.
func (q *authorization) toSignIn() (*op.Redirect, error) {
	if q.silent() {
		return nil, oidc.ErrLoginRequired()
	}
	params := maps.Clone(q.params)
	if q.has(oidc.PromptLogin) || q.has(oidc.PromptSelectAccount) {
		params = q.prompted()
	}
	return op.NewRedirect("/login?" + q.inLanguage(params).Encode()), nil
}

// toReauthentication leads the browser's user to show once more who they are.
func (q *authorization) toReauthentication() (*op.Redirect, error) {
	return op.NewRedirect(reauthenticatePath + "?" + q.inLanguage(url.Values{"returnUrl": {q.again(q.prompted())}}).Encode()), nil
}

// toSecondFactor leads the browser's user to show a second factor.
func (q *authorization) toSecondFactor() (*op.Redirect, error) {
	return op.NewRedirect(reauthenticatePath + "?" + q.inLanguage(url.Values{"returnUrl": {q.again(q.params)}, "amr": {string(principal.MethodMultiFactor)}}).Encode()), nil
}

// toConsent asks the user what the client may have.
func (q *authorization) toConsent(ctx context.Context, b authcore.BrowserSession) (*op.Redirect, error) {
	if q.silent() {
		return nil, &oidc.Error{ErrorType: "consent_required"}
	}
	code, err := q.x.call.Auth.AskConsent(ctx, b, q.client, q.params.Encode())
	if err != nil {
		return nil, q.x.trouble(ctx, err)
	}
	query := url.Values{"consent_code": {code}, "client_id": {q.client.ID}, "scope": {strings.Join(q.scopes, " ")}}
	return op.NewRedirect(consentPath + "?" + q.inLanguage(query).Encode()), nil
}

// lead leads back to the client, with a code.
func (q *authorization) lead(ctx context.Context, b authcore.BrowserSession) (*op.Redirect, error) {
	to, err := authorized(ctx, q.x.call, b, q.client, q.params)
	if err != nil {
		return nil, q.x.trouble(ctx, err)
	}
	return op.NewRedirect(to), nil
}

// authorized is the address of the client with a code for what its request asked for.
func authorized(ctx context.Context, c *endpoint.Call, b authcore.BrowserSession, known openid.Client, params url.Values) (string, error) {
	redirect := params.Get("redirect_uri")
	code, err := c.Auth.AuthorizeClient(ctx, b, openid.Code{
		ClientID: known.ID, Scopes: known.Allowed(strings.Fields(params.Get("scope"))), RedirectURI: redirect,
		CodeChallenge: params.Get("code_challenge"), Nonce: params.Get("nonce"),
	})
	if err != nil {
		return "", err
	}
	return response(redirect, url.Values{"code": {code}}, params.Get("state")), nil
}

// response is an address of a client with what is answered in its query (RFC 6749,
// section 4.1.2).
func response(redirect string, values url.Values, state string) string {
	if state != "" {
		values.Set("state", state)
	}
	if len(values) == 0 {
		return redirect
	}
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	return redirect + separator + values.Encode()
}

// refused answers a client with an error. The library would log each as a warning, and a
// device that waits is none.
func (x *exchange) refused(err error) (*op.Response, error) {
	status, e := http.StatusBadRequest, oidc.DefaultToServerError(err, "")
	var with *withStatus
	if errors.As(err, &with) {
		status = with.status
	}
	out := refusal(status, string(e.ErrorType), e.Description)
	if status == http.StatusUnauthorized && len(x.call.Request.Header["Authorization"]) > 0 {
		out.Header.Set("WWW-Authenticate", basicChallenge)
	}
	x.answer = out
	return op.NewResponse(nil), nil
}

// withStatus is an error of the protocol with a status of its own.
type withStatus struct {
	err    *oidc.Error
	status int
}

func (e *withStatus) Error() string { return e.err.Error() }
func (e *withStatus) Unwrap() error { return e.err }

// told is an error as the library takes it.
func told(err error) error {
	var with *withStatus
	if errors.As(err, &with) {
		return op.NewStatusError(with.err, with.status)
	}
	return err
}

// refusedTo leads back to the client with an error (RFC 6749, section 4.1.2.1).
func (x *exchange) refusedTo(err error, state string) *op.Redirect {
	if errors.As(err, new(*withStatus)) {
		_, _ = x.refused(err)
		return op.NewRedirect("")
	}
	e := oidc.DefaultToServerError(err, "")
	values := url.Values{"error": {string(e.ErrorType)}}
	if e.Description != "" {
		values.Set("error_description", e.Description)
	}
	return op.NewRedirect(response(x.redirect, values, state))
}

// trouble is an error that is not the client's: it is logged, and told as no more than
// that.
func (x *exchange) trouble(ctx context.Context, err error) error {
	if errors.Is(err, authcore.ErrUnavailable) {
		return &withStatus{&oidc.Error{ErrorType: "temporarily_unavailable", Description: "try again in a moment"}, http.StatusServiceUnavailable}
	}
	x.call.Logger().ErrorContext(ctx, "OpenID provider", "error", err)
	return &withStatus{oidc.ErrServerError().WithDescription("Internal server error"), http.StatusInternalServerError}
}
