package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/matrix"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/sso"
)

// VerifyClient implements [op.Server]: by the secret, in the header or in the body, or
// for a public client by nothing (RFC 6749, section 2.3).
func (provider) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	known, err := exchangeOf(ctx).authenticate(ctx, r.Data)
	if err != nil {
		return nil, told(err)
	}
	return client{Client: known}, nil
}

func (x *exchange) authenticate(ctx context.Context, cc *op.ClientCredentials) (openid.Client, error) {
	refused := &withStatus{oidc.ErrInvalidClient().WithDescription("the client is not known, or not by this secret"), http.StatusUnauthorized}
	if cc.ClientAssertion != "" {
		return openid.Client{}, refused
	}
	known, err := x.call.Auth.OpenIDClient(ctx, cc.ClientID)
	switch {
	case errors.Is(err, openid.ErrUnknownClient):
		return openid.Client{}, refused
	case err != nil:
		return openid.Client{}, x.trouble(ctx, err)
	case known.Public && cc.ClientSecret == "", known.Keeps(cc.ClientSecret):
		return known, nil
	}
	return openid.Client{}, refused
}

// CodeExchange implements [op.Server] (RFC 6749, section 4.1.3).
func (provider) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	g, err := x.call.Auth.RedeemCode(ctx, x.call.Client, known, r.Data.Code, r.Data.RedirectURI, r.Data.CodeVerifier)
	if errors.Is(err, openid.ErrCode) {
		return x.refused(oidc.ErrInvalidGrant().WithDescription("%s", err.Error()))
	}
	if err != nil {
		return x.refused(x.trouble(ctx, err))
	}
	x.linkMatrix(ctx, g, r.Data.RedirectURI)
	return x.tokens(ctx, g)
}

// linkMatrix links the Matrix id that Synapse makes of the user's address to the account
// (contract, section 7): whoever signs in to Synapse through us is that id.
func (x *exchange) linkMatrix(ctx context.Context, g grant.Grant, redirect string) {
	if g.Client.ID != openid.SynapseID || !g.User.EmailVerified {
		return
	}
	err := x.call.Auth.LinkMatrixBySignIn(ctx, x.call.Client, g.User, redirect)
	if err != nil && !errors.Is(err, matrix.ErrTaken) && !errors.Is(err, matrix.ErrID) {
		x.call.Logger().WarnContext(ctx, "link the Matrix id of who signed in to Synapse", "user", g.User.ID, "error", err)
	}
}

// RefreshToken implements [op.Server] (RFC 6749, section 6).
func (provider) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	g, err := x.call.Auth.RefreshClient(ctx, x.call.Client, known, r.Data.RefreshToken, r.Data.Scopes)
	switch {
	case errors.Is(err, openid.ErrScope):
		return x.refused(oidc.ErrInvalidScope().WithDescription("%s", err.Error()))
	case errors.Is(err, authcore.ErrInvalidRefreshToken), errors.Is(err, authcore.ErrRefreshExpired), errors.Is(err, authcore.ErrUserNotFound):
		return x.refused(oidc.ErrInvalidGrant().WithDescription("the refresh token is not valid"))
	case err != nil:
		return x.refused(x.trouble(ctx, err))
	}
	return x.tokens(ctx, g)
}

// ClientCredentialsExchange implements [op.Server] (RFC 6749, section 4.4).
func (provider) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	// A client has no identity of a user's, and no refresh token (section 4.4.3).
	scopes := slices.DeleteFunc(known.Allowed(r.Data.Scope), func(s string) bool { return slices.Contains(openid.Scopes(), s) })
	if len(r.Data.Scope) > 0 && len(scopes) == 0 {
		return x.refused(oidc.ErrInvalidScope().WithDescription("the client may have none of these scopes for itself"))
	}
	g, err := x.call.Auth.ClientToken(ctx, known, scopes)
	if err != nil {
		return x.refused(x.trouble(ctx, err))
	}
	return x.tokens(ctx, g)
}

// DeviceAuthorization implements [op.Server] (RFC 8628, section 3.1).
func (provider) DeviceAuthorization(ctx context.Context, r *op.ClientRequest[oidc.DeviceAuthorizationRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	if !known.May(openid.GrantDevice) {
		return x.refused(oidc.ErrUnauthorizedClient().WithDescription("the client may not use device codes"))
	}
	scopes := known.Allowed(r.Data.Scopes)
	if len(scopes) == 0 {
		return x.refused(oidc.ErrInvalidScope().WithDescription("the client may have none of these scopes"))
	}
	deviceCode, userCode, err := x.call.Auth.StartDevice(ctx, known, scopes)
	if err != nil {
		return x.refused(x.trouble(ctx, err))
	}
	page := x.call.Auth.Issuer() + devicePath
	return op.NewResponse(&oidc.DeviceAuthorizationResponse{
		DeviceCode: deviceCode, UserCode: userCode, VerificationURI: page, VerificationURIComplete: page + "?user_code=" + userCode,
		ExpiresIn: int(openid.DeviceTTL.Seconds()), Interval: int(openid.PollInterval.Seconds()),
	}), nil
}

// DeviceToken implements [op.Server] (RFC 8628, section 3.4).
func (provider) DeviceToken(ctx context.Context, r *op.ClientRequest[oidc.DeviceAccessTokenRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	g, err := x.call.Auth.RedeemDevice(ctx, x.call.Client, known, r.Data.DeviceCode)
	switch {
	case errors.Is(err, openid.ErrPending):
		return x.refused(oidc.ErrAuthorizationPending().WithDescription("%s", err.Error()))
	case errors.Is(err, openid.ErrSlowDown):
		return x.refused(oidc.ErrSlowDown().WithDescription("%s", err.Error()))
	case errors.Is(err, openid.ErrDenied):
		return x.refused(oidc.ErrAccessDenied().WithDescription("%s", err.Error()))
	case errors.Is(err, openid.ErrDeviceExpired):
		return x.refused(oidc.ErrExpiredDeviceCode().WithDescription("%s", err.Error()))
	case errors.Is(err, openid.ErrCode):
		return x.refused(oidc.ErrInvalidGrant().WithDescription("%s", err.Error()))
	case err != nil:
		return x.refused(x.trouble(ctx, err))
	}
	return x.tokens(ctx, g)
}

// Introspect implements [op.Server] (RFC 7662): a client learns of its own tokens, and of
// those that are meant for it.
func (provider) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	x := exchangeOf(ctx)
	asker, err := x.authenticate(ctx, r.Data.ClientCredentials)
	if err != nil {
		return x.refused(err)
	}
	told := &oidc.IntrospectionResponse{}
	g, err := x.access(ctx, r.Data.Token)
	switch {
	case err == nil && (g.Client.ID == asker.ID || g.Access.Audience == asker.ID || asker.Audience != "" && g.Access.Audience == asker.Audience):
		told = x.introspected(g)
	case errors.Is(err, openid.ErrToken):
		ses, err := x.call.Auth.ClientRefresh(ctx, asker, r.Data.Token)
		switch {
		case err == nil:
			told = &oidc.IntrospectionResponse{
				Active: true, Scope: strings.Fields(ses.Scopes), ClientID: asker.ID, Subject: ses.UserID, Issuer: x.call.Auth.Issuer(),
				TokenType: "refresh_token", Expiration: oidc.FromTime(ses.ExpiresAt), IssuedAt: oidc.FromTime(ses.CreatedAt),
			}
		case !errors.Is(err, authcore.ErrInvalidRefreshToken):
			return x.refused(x.trouble(ctx, err))
		}
	case err != nil:
		return x.refused(x.trouble(ctx, err))
	}
	return op.NewResponse(told), nil
}

// UserInfo implements [op.Server] (OpenID Connect Core, section 5.3).
func (provider) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	x := exchangeOf(ctx)
	g, err := x.access(ctx, r.Data.AccessToken)
	switch {
	case errors.Is(err, openid.ErrToken), err == nil && g.User.ID == "":
		return x.bearerRefused(http.StatusUnauthorized, "invalid_token", "the access token is not valid")
	case err != nil:
		return x.refused(x.trouble(ctx, err))
	case !g.Has(openid.ScopeOpenID):
		return x.bearerRefused(http.StatusForbidden, "insufficient_scope", "the access token was not granted openid")
	}
	return op.NewResponse(userInfo(g)), nil
}

// bearerRefused says so in the header too (RFC 6750, section 3).
func (x *exchange) bearerRefused(status int, kind, description string) (*op.Response, error) {
	refused := refusal(status, kind, description)
	refused.Header.Set("WWW-Authenticate", `Bearer error="`+kind+`"`)
	x.answer = refused
	return op.NewResponse(nil), nil
}

// Revocation implements [op.Server] (RFC 7009).
func (provider) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	x, known := exchangeOf(ctx), r.Client.(client).Client
	text, jti := x.tokenID(r.Data.Token)
	if err := x.call.Auth.RevokeClientToken(ctx, x.call.Client, known, text, jti); err != nil {
		return x.refused(x.trouble(ctx, err))
	}
	return op.NewResponse(nil), nil
}

// EndSession implements [op.Server] (OpenID Connect RP-Initiated Logout 1.0, section 2):
// with a token that was given in the session that the browser has, it ends; else the user
// is asked.
func (provider) EndSession(ctx context.Context, r *op.Request[oidc.EndSessionRequest]) (*op.Redirect, error) {
	x := exchangeOf(ctx)
	var hint hint
	id := r.Data.ClientID
	if r.Data.IdTokenHint != "" {
		var err error
		if hint, err = hintOf(x.call, r.Data.IdTokenHint); err != nil {
			return nil, oidc.ErrInvalidRequest().WithDescription("id_token_hint is none of this provider")
		}
		if id != "" && id != hint.Audience {
			return nil, oidc.ErrInvalidRequest().WithDescription("client_id is not whom id_token_hint was made for")
		}
		id = hint.Audience
	}
	to := r.Data.PostLogoutRedirectURI
	if to != "" {
		known, err := x.call.Auth.OpenIDClient(ctx, id)
		if err != nil && !errors.Is(err, openid.ErrUnknownClient) {
			return nil, told(x.trouble(ctx, err))
		}
		if err != nil || !known.LeavesTo(to) {
			return nil, oidc.ErrInvalidRequest().WithDescription("post_logout_redirect_uri is not registered for this client")
		}
		to = response(to, url.Values{}, r.Data.State)
	}
	ended, err := x.signOut(ctx, hint)
	if err != nil {
		return nil, told(x.trouble(ctx, err))
	}
	switch {
	case !ended:
		x.answer = askSignOut(id, r.Data.PostLogoutRedirectURI, r.Data.State)
	case to == "":
		x.answer = signedOut(x.call)
	}
	return op.NewRedirect(to), nil
}

// signOut ends the browser's session where the hint belongs to it, or where a page of ours
// asks. It reports whether nobody is signed in any more.
func (x *exchange) signOut(ctx context.Context, h hint) (bool, error) {
	tokens := sso.Tokens(x.call)
	if _, err := x.call.Auth.BrowserSession(ctx, x.call.Request.Header["Cookie"]); errors.Is(err, authcore.ErrNoSession) {
		return true, nil
	} else if err != nil && !errors.Is(err, authcore.ErrSessionConflict) {
		return false, err
	}
	if h.SessionID != "" {
		ended, err := x.call.Auth.EndClientSession(ctx, x.call.Client, h.Subject, h.SessionID, tokens)
		if err != nil || ended {
			sso.Clear(x.call)
			return ended, err
		}
	}
	if x.call.Request.Method == http.MethodPost && x.call.SameSite() == nil {
		return true, sso.End(ctx, x.call)
	}
	return false, nil
}
