package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/verifier"
	"mana.how/edge/caddymodule/api/endpoint"
)

// The authentication contexts (OpenID Connect Core, section 2, acr).
const (
	acrOneFactor   = "urn:mace:incommon:iap:bronze"
	acrManyFactors = "urn:mace:incommon:iap:silver"
)

// tokens is the answer of the token endpoint.
func (x *exchange) tokens(ctx context.Context, g grant.Grant) (*op.Response, error) {
	answer := &oidc.AccessTokenResponse{
		AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, TokenType: oidc.BearerToken, ExpiresIn: uint64(openid.TokenTTL.Seconds()), Scope: g.Scopes,
	}
	var err error
	if g.Client.AccessTokenFormat == openid.JWT {
		if answer.AccessToken, err = x.accessToken(ctx, g); err != nil {
			return x.refused(x.trouble(ctx, err))
		}
	}
	if g.User.ID != "" && g.Has(openid.ScopeOpenID) {
		if answer.IDToken, err = x.idToken(ctx, g, answer.AccessToken); err != nil {
			return x.refused(x.trouble(ctx, err))
		}
	}
	return op.NewResponse(answer), nil
}

// idToken says who was signed in, when and how (OpenID Connect Core, section 2).
func (x *exchange) idToken(ctx context.Context, g grant.Grant, accessToken string) (string, error) {
	now := x.call.Now()
	claims := oidc.NewIDTokenClaims(x.call.Auth.Issuer(), g.User.ID, nil, now.Add(openid.TokenTTL), g.Session.AuthenticatedAt, g.Nonce,
		acrOf(g.Session), methodsOf(g.Session), g.Client.ID, 0)
	claims.IssuedAt, claims.SessionID, claims.ClientID = oidc.FromTime(now), g.Session.ID, ""
	claims.SetUserInfo(userInfo(g))
	var err error
	if claims.AccessTokenHash, err = oidc.ClaimHash(accessToken, jose.SignatureAlgorithm(g.Client.Algorithm)); err != nil {
		return "", err
	}
	return x.sign(ctx, g.Client, "", claims, g.Client.ID)
}

// accessToken is one that speaks for itself (RFC 9068, section 2.2).
func (x *exchange) accessToken(ctx context.Context, g grant.Grant) (string, error) {
	subject := g.User.ID
	if subject == "" {
		subject = g.Client.ID
	}
	claims := oidc.NewAccessTokenClaims(x.call.Auth.Issuer(), subject, []string{g.Access.Audience}, g.Access.ExpiresAt, g.Access.ID, g.Client.ID, 0)
	claims.Scopes, claims.IssuedAt, claims.NotBefore = g.Scopes, oidc.FromTime(g.Access.IssuedAt), 0
	if g.User.ID != "" {
		claims.AuthTime = oidc.FromTime(g.Session.AuthenticatedAt)
		claims.AuthenticationContextClassReference, claims.AuthenticationMethodsReferences = acrOf(g.Session), methodsOf(g.Session)
		claims.Claims = map[string]any{"sid": g.Session.ID}
	}
	return x.sign(ctx, g.Client, verifier.ClientTokenType, claims, g.Access.Audience)
}

// sign makes a token of claims. Its audience is one, and written as a text (RFC 7519,
// section 4.1.3).
func (x *exchange) sign(ctx context.Context, known openid.Client, typ string, claims any, audience string) (string, error) {
	doc, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	var all map[string]any
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		return "", err
	}
	all["aud"] = audience
	if doc, err = json.Marshal(all); err != nil {
		return "", err
	}
	return x.call.Auth.SignForClient(ctx, known, typ, doc)
}

// userInfo is what the scopes let a client know of a user (OpenID Connect Core, section
// 5.4).
func userInfo(g grant.Grant) *oidc.UserInfo {
	info := &oidc.UserInfo{Subject: g.User.ID}
	if g.Has(openid.ScopeProfile) {
		info.Name = g.User.Name
		if info.Name == "" {
			info.Name, _, _ = strings.Cut(g.User.Email, "@")
		}
		info.GivenName, info.FamilyName = info.Name, ""
		if i := strings.LastIndexByte(info.Name, ' '); i > 0 {
			info.GivenName, info.FamilyName = strings.TrimSpace(info.Name[:i]), info.Name[i+1:]
		}
		if g.User.Image != nil {
			info.Picture, info.Profile = *g.User.Image, *g.User.Image
		}
		info.UpdatedAt = oidc.FromTime(g.User.UpdatedAt)
	}
	if g.Has(openid.ScopeEmail) {
		info.Email, info.EmailVerified = g.User.Email, oidc.Bool(g.User.EmailVerified)
		info.AppendClaims("email_verified", g.User.EmailVerified) // the library leaves false out
	}
	return info
}

// introspected is what a token stands for (RFC 7662, section 2.2).
func (x *exchange) introspected(g grant.Grant) *oidc.IntrospectionResponse {
	told := &oidc.IntrospectionResponse{
		Active: true, Scope: g.Scopes, ClientID: g.Client.ID, TokenType: oidc.BearerToken, Expiration: oidc.FromTime(g.Access.ExpiresAt),
		IssuedAt: oidc.FromTime(g.Access.IssuedAt), Subject: g.Client.ID, Audience: oidc.Audience{g.Access.Audience}, Issuer: x.call.Auth.Issuer(), JWTID: g.Access.ID,
	}
	if g.User.ID != "" {
		told.Subject, told.AuthTime, told.AuthenticationMethodsReferences = g.User.ID, oidc.FromTime(g.Session.AuthenticatedAt), methodsOf(g.Session)
		if g.Has(openid.ScopeEmail) {
			told.Username = g.User.Email
		}
	}
	return told
}

func methodsOf(s authcore.Session) []string {
	var list []string
	for _, m := range s.Methods.List() {
		list = append(list, string(m))
	}
	return list
}

// acrOf reports whether more than one factor was shown.
func acrOf(s authcore.Session) string {
	several := slices.ContainsFunc([]principal.Method{principal.MethodMultiFactor, principal.MethodHardwareKey, principal.MethodSoftwareKey}, s.Methods.Has)
	if several {
		return acrManyFactors
	}
	return acrOneFactor
}

// tokenID takes an access token apart: one that speaks for itself has its id in it, the
// others are their own.
func (x *exchange) tokenID(token string) (text, jti string) {
	if strings.Count(token, ".") != 2 {
		return token, ""
	}
	payload, head, err := x.call.Auth.VerifyPayload(token)
	var claims struct {
		JTI string `json:"jti"`
	}
	if err != nil || !strings.EqualFold(head.Type, verifier.ClientTokenType) || json.Unmarshal(payload, &claims) != nil || claims.JTI == "" {
		return token, ""
	}
	return "", claims.JTI
}

// access finds what an access token stands for. It fails with [openid.ErrToken].
func (x *exchange) access(ctx context.Context, token string) (grant.Grant, error) {
	if token == "" || len(token) > maxQuery || strings.ContainsRune(token, 0) {
		return grant.Grant{}, openid.ErrToken
	}
	text, jti := x.tokenID(token)
	return x.call.Auth.ClientAccess(ctx, text, jti)
}

// hint is an ID token that a client shows again; its time may be over.
type hint struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	SessionID string `json:"sid"`
	Events    any    `json:"events"`
}

var errHint = errors.New("no ID token of this provider")

func hintOf(c *endpoint.Call, token string) (hint, error) {
	payload, head, err := c.Auth.VerifyPayload(token)
	var h hint
	if err != nil || head.Type != "" && !strings.EqualFold(head.Type, "JWT") || json.Unmarshal(payload, &h) != nil ||
		h.Issuer != c.Auth.Issuer() || h.Subject == "" || h.Audience == "" || h.Events != nil {
		return hint{}, errHint
	}
	return h, nil
}
