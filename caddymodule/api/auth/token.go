package auth

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
)

type refreshRequest struct {
	RefreshToken string `json:"refreshToken" rule:"string"`
}

func refresh(ctx context.Context, c *endpoint.Call, req refreshRequest) (sso.TokenResponse, error) {
	tokens, err := c.Auth.Refresh(ctx, c.Client, req.RefreshToken)
	if err != nil {
		return sso.TokenResponse{}, err
	}
	return sso.TokensOf(tokens), nil
}

// errNoCookie refuses an exchange for nothing.
var errNoCookie = &endpoint.Error{Status: 401, Code: "NO_SESSION_COOKIE", Message: "No session cookie found"}

// exchange gives an app tokens of its own for the SSO cookie. Any
// Authorization header is ignored: clients attach stale ones.
func exchange(ctx context.Context, c *endpoint.Call, _ endpoint.None) (sso.TokenResponse, error) {
	if len(sso.Tokens(c)) == 0 {
		return sso.TokenResponse{}, errNoCookie
	}
	if err := c.SameSite(); err != nil {
		return sso.TokenResponse{}, err
	}
	// One app, one device: a page that names no origin is of this site's own.
	c.Client.Origin = "self"
	if origins := c.Request.Header["Origin"]; len(origins) == 1 && origins[0] != "null" {
		c.Client.Origin = strings.ToLower(origins[0])
	}
	tokens, err := c.Auth.Exchange(ctx, c.Client, c.Request.Header["Cookie"])
	if err != nil {
		return sso.TokenResponse{}, err
	}
	return sso.TokensOf(tokens), nil
}

type validateRequest struct {
	Token string `json:"token" rule:"string"`
}

type validateResponse struct {
	Valid   bool           `json:"valid"`
	Payload *claimsPayload `json:"payload,omitempty"`
	Error   string         `json:"error,omitempty"`
}

type claimsPayload struct {
	Subject          string             `json:"sub"`
	Email            string             `json:"email"`
	EmailVerified    bool               `json:"email_verified"`
	Role             principal.Role     `json:"role"`
	AuthEpoch        int32              `json:"auth_epoch"`
	SessionID        string             `json:"sid"`
	OrganizationID   string             `json:"org,omitempty"`
	OrganizationRole string             `json:"org_role,omitempty"`
	AuthTime         *int64             `json:"auth_time,omitempty"`
	Methods          []principal.Method `json:"amr,omitempty"`
	Issuer           string             `json:"iss"`
	Audience         string             `json:"aud"`
	Expires          int64              `json:"exp"`
	IssuedAt         *int64             `json:"iat,omitempty"`
	ID               string             `json:"jti,omitempty"`
}

// validateToken always answers 200. Back ends forward its error to browsers, which
// refresh on the phrases of the verifier. It asks memory only.
func validateToken(ctx context.Context, c *endpoint.Call, req validateRequest) (validateResponse, error) {
	if req.Token == "" || c.BodyErr != nil {
		return validateResponse{Error: "No token provided"}, nil
	}
	claims, err := c.Auth.Verify(ctx, req.Token)
	switch {
	case errors.Is(err, token.ErrInvalid):
		return validateResponse{Error: err.Error()}, nil
	case err != nil:
		return validateResponse{}, err
	}
	payload := &claimsPayload{
		Subject: claims.Subject, Email: claims.Email, EmailVerified: claims.EmailVerified,
		Role: claims.Role, AuthEpoch: claims.AuthEpoch,
		SessionID: claims.SessionID, OrganizationID: claims.OrganizationID, OrganizationRole: claims.OrganizationRole,
		Issuer: claims.Issuer, Audience: claims.Audience,
		Expires: claims.Expires.Unix(), ID: claims.ID, Methods: claims.Methods.List(),
	}
	if !claims.AuthTime.IsZero() {
		at := claims.AuthTime.Unix()
		payload.AuthTime = &at
	}
	if !claims.IssuedAt.IsZero() {
		iat := claims.IssuedAt.Unix()
		payload.IssuedAt = &iat
	}
	return validateResponse{Valid: true, Payload: payload}, nil
}

// jwks publishes the verification keys (RFC 7517, section 5). Keys are
// announced long before they sign, so that a cached set knows every signer.
func jwks(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Document, error) {
	set := c.Auth.JWKS()
	if !json.Valid(set) {
		return endpoint.Document{}, errors.New("the key set is no JSON")
	}
	return endpoint.Document{ContentType: "application/json; charset=utf-8", CacheControl: "public, max-age=300", Body: set}, nil
}
