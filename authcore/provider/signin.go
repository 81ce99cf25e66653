package provider

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	leeway     = 2 * time.Minute // between our clock and theirs
	maxIDToken = 128 << 10       // bytes
	// freshFor is how long ago a user may have shown the provider who they are, where
	// that is to count as doing so now.
	freshFor = 15 * time.Minute
)

// Request is one sign-in. State, Nonce and Verifier (RFC 7636, section 4.1) belong
// to one browser. Fresh asks the provider to have the user show who they are,
// though they are signed in there.
type Request struct {
	RedirectURI, State, Nonce, Verifier string
	Fresh                               bool
}

// AuthorizationURL is where the browser is sent (RFC 6749, section 4.1.1). It fails
// with [*Error].
func (p *Provider) AuthorizationURL(ctx context.Context, r Request) (string, error) {
	cfg, _, err := p.oauth(ctx, r.RedirectURI)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.Verifier)}
	if p.Kind != GitHub {
		options = append(options, oidc.Nonce(r.Nonce))
	}
	switch {
	case p.FormPost():
		options = append(options, oauth2.SetAuthURLParam("response_mode", "form_post"))
	case p.Kind == Google:
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account"))
	case r.Fresh && p.Kind == OpenID:
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return cfg.AuthCodeURL(r.State, options...), nil
}

// oauth is the client of the provider; there is no metadata where it is no OpenID
// provider.
func (p *Provider) oauth(ctx context.Context, redirectURI string) (oauth2.Config, *metadata, error) {
	cfg := oauth2.Config{ClientID: p.ClientID, RedirectURL: redirectURI, Scopes: p.Scopes}
	secret, err := p.secret()
	if err != nil {
		return cfg, nil, &Error{Failed, err}
	}
	cfg.ClientSecret = secret
	if p.Kind == GitHub {
		cfg.Endpoint = p.gitHubEndpoint()
		return cfg, nil, nil
	}
	m, err := p.discover(ctx)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Endpoint = m.server.Endpoint()
	if cfg.Endpoint.AuthStyle = m.authStyle(); p.Kind == Apple {
		cfg.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return cfg, m, nil
}

// Response is what the browser brings back (RFC 6749, sections 4.1.2 and 4.1.2.1;
// RFC 9207). Fault is the provider's error, if there is one.
type Response struct{ Code, Issuer, Fault string }

// Redeem takes what came back for a request and says who it is. It fails with
// [*Error].
func (p *Provider) Redeem(ctx context.Context, req Request, resp Response) (Identity, error) {
	cfg, m, err := p.oauth(ctx, req.RedirectURI)
	if err != nil {
		return Identity{}, err
	}
	if m != nil && (m.SendsIssuer || resp.Issuer != "") && resp.Issuer != p.Issuer {
		return Identity{}, failf(Issuer, "the answer is of %q", clip(resp.Issuer))
	}
	switch {
	case resp.Fault == "access_denied", resp.Fault == "user_cancelled_authorize":
		return Identity{}, failf(Denied, "%q", clip(resp.Fault))
	case resp.Fault != "":
		return Identity{}, failf(Failed, "%q", clip(resp.Fault))
	case resp.Code == "":
		return Identity{}, failf(Failed, "there is no code")
	}
	token, err := cfg.Exchange(p.with(ctx), resp.Code, oauth2.VerifierOption(req.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	id, err := p.identify(ctx, m, token, req)
	if err != nil {
		return Identity{}, err
	}
	scope, _ := token.Extra("scope").(string)
	raw, _ := token.Extra("id_token").(string)
	id.Provider, id.Tokens = p.ID, Tokens{Access: token.AccessToken, Refresh: token.RefreshToken, ID: raw, AccessExpires: token.Expiry, Scope: scope}
	return id, nil
}

// exchangeError tells a code that is not taken from a provider that is away, and
// keeps what the provider wrote out of the log but for its code.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return because(Unavailable, err)
	}
	if refused.Response != nil && refused.Response.StatusCode >= http.StatusInternalServerError {
		return failf(Unavailable, "the token endpoint: status %d", refused.Response.StatusCode)
	}
	return failf(Code, "the token endpoint: %q", clip(refused.ErrorCode))
}

func clip(text string) string { return text[:min(len(text), 64)] }

func (p *Provider) identify(ctx context.Context, m *metadata, token *oauth2.Token, req Request) (Identity, error) {
	if m == nil {
		return p.gitHubIdentity(ctx, token)
	}
	raw, _ := token.Extra("id_token").(string)
	c, err := p.verify(ctx, m, raw, []string{p.ClientID})
	if err != nil {
		return Identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(c.nonce), []byte(req.Nonce)) != 1 {
		return Identity{}, failf(Nonce, "the ID token is of another request")
	}
	if req.Fresh && c.AuthTime != nil && p.now().Sub(c.AuthTime.time()) > freshFor+leeway {
		return Identity{}, failf(Stale, "the user authenticated at %v", c.AuthTime.time().UTC())
	}
	_, hasRole := c.all[p.RoleClaim]
	if m.UserInfo != "" && (c.Email == "" && slices.Contains(p.Scopes, "email") || p.RoleClaim != "" && !hasRole) {
		if err := p.addUserInfo(ctx, m, token, &c.claims); err != nil {
			return Identity{}, err
		}
	}
	return p.identityOf(c.claims)
}

// addUserInfo fills in what the ID token leaves out and the provider says elsewhere
// (Core, section 5.3), of the same subject.
func (p *Provider) addUserInfo(ctx context.Context, m *metadata, token *oauth2.Token, c *claims) error {
	info, err := m.server.UserInfo(p.with(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		return &Error{Unavailable, err}
	}
	if info.Subject != c.Subject {
		return failf(Claims, "the user info is of another subject")
	}
	var more claims
	if err := errors.Join(info.Claims(&more), info.Claims(&more.all)); err != nil {
		return &Error{Claims, err}
	}
	if c.Email == "" {
		c.Email, c.EmailVerified = more.Email, more.EmailVerified
	}
	if c.Name == "" {
		c.Name, c.GivenName, c.FamilyName = more.Name, more.GivenName, more.FamilyName
	}
	for name, value := range more.all {
		if _, has := c.all[name]; !has {
			c.all[name] = value
		}
	}
	return nil
}

// VerifyIDToken says whom an app's ID token is of. The token must be for the client
// id or one of the audiences; the nonce is compared where one is given. It fails
// with [*Error].
func (p *Provider) VerifyIDToken(ctx context.Context, raw, nonce string) (Identity, error) {
	if p.Kind == GitHub {
		return Identity{}, failf(NoToken, "GitHub has no ID tokens")
	}
	m, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	c, err := p.verify(ctx, m, raw, append([]string{p.ClientID}, p.Audiences...))
	if err != nil {
		return Identity{}, err
	}
	if nonce != "" && subtle.ConstantTimeCompare([]byte(c.nonce), []byte(nonce)) != 1 {
		return Identity{}, failf(Nonce, "the ID token has another nonce")
	}
	id, err := p.identityOf(c.claims)
	id.Provider = p.ID
	return id, err
}

// verified are the claims of an ID token that is in order but for its nonce.
type verified struct {
	claims
	nonce string
}

// capture remembers why the key set refused, which go-oidc words as text.
type capture struct {
	keys     *keySet
	accepted []string
	err      error
}

func (c *capture) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	payload, c.err = c.keys.verify(ctx, raw, c.accepted)
	return payload, c.err
}

// verify checks an ID token (Core, section 3.1.3.7). audiences are the client ids
// that it may be for.
func (p *Provider) verify(ctx context.Context, m *metadata, raw string, audiences []string) (verified, error) {
	if raw == "" || len(raw) > maxIDToken {
		return verified{}, failf(NoToken, "the ID token has %d bytes", len(raw))
	}
	keys := &capture{keys: m.keys, accepted: m.accepted()}
	if len(keys.accepted) == 0 {
		return verified{}, failf(Token, "the provider announces no algorithm that is taken")
	}
	token, err := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{
		SupportedSigningAlgs: keys.accepted, Now: func() time.Time { return p.now().Add(-leeway) },
		SkipClientIDCheck: true, SkipIssuerCheck: true, // below: each has a reason of its own
	}).Verify(ctx, raw)
	if err != nil {
		return verified{}, p.explain(err, keys.err)
	}
	var payload rawClaims
	if err := token.Claims(&payload); err != nil {
		return verified{}, &Error{Claims, err}
	}
	c, err := readClaims(payload)
	if err != nil {
		return verified{}, err
	}
	issuer := token.Issuer
	if p.Kind == Google && issuer == strings.TrimPrefix(googleIssuer, "https://") {
		issuer = googleIssuer // as older tokens of Google's say
	}
	isOurs := func(id string) bool { return slices.Contains(audiences, id) }
	switch {
	case issuer != p.Issuer:
		return verified{}, failf(Issuer, "the ID token is of %q", clip(issuer))
	case !slices.ContainsFunc(token.Audience, isOurs):
		return verified{}, failf(Audience, "the ID token is for %d others", len(token.Audience))
	case len(token.Audience) > 1 && c.AuthorizedParty == "", c.AuthorizedParty != "" && !isOurs(c.AuthorizedParty):
		return verified{}, failf(Audience, "the authorized party is %q", clip(c.AuthorizedParty))
	case token.IssuedAt.Unix() <= 0, token.IssuedAt.After(p.now().Add(leeway)):
		return verified{}, failf(Clock, "the ID token was issued at %v", token.IssuedAt.UTC())
	}
	return verified{c, token.Nonce}, nil
}

// rawClaims takes the payload of a token as it is.
type rawClaims []byte

func (r *rawClaims) UnmarshalJSON(raw []byte) error {
	*r = slices.Clone(raw)
	return nil
}

// explain finds the reason for which an ID token was refused.
func (p *Provider) explain(err, keys error) error {
	var late *oidc.TokenExpiredError
	switch {
	case keys != nil:
		return because(Signature, keys)
	case errors.As(err, &late):
		return &Error{Expired, err}
	}
	return &Error{Token, err}
}
