package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
)

// ClientRegistration is what a client says of itself (RFC 7591, section 2, and OpenID
// Connect Dynamic Client Registration 1.0, section 2); what else it says is passed over.
type ClientRegistration struct {
	RedirectURIs            []string         `json:"redirect_uris,omitempty"`
	ClientName              string           `json:"client_name,omitempty"`
	TokenEndpointAuthMethod oidc.AuthMethod  `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes              []string         `json:"grant_types,omitempty"`
	ResponseTypes           []string         `json:"response_types,omitempty"`
	Scope                   string           `json:"scope,omitempty"`
	LogoURI                 string           `json:"logo_uri,omitempty"`
	IDTokenSignedAlg        *token.Algorithm `json:"id_token_signed_response_alg,omitempty"`
	PostLogoutRedirectURIs  []string         `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI    string           `json:"backchannel_logout_uri,omitempty"`
}

// RegisteredClientResponse is what a client is told that has registered itself (RFC 7591,
// section 3.2.1).
type RegisteredClientResponse struct {
	ClientID string `json:"client_id"`
	// ClientSecret is there where the client is not public. It is told once.
	ClientSecret string `json:"client_secret,omitempty"`
	// ClientIDIssuedAt is in Unix seconds.
	ClientIDIssuedAt int64 `json:"client_id_issued_at"`
	// ClientSecretExpiresAt is 0: never.
	ClientSecretExpiresAt int64 `json:"client_secret_expires_at"`
	ClientRegistration
}

// register makes a client that has an initial access token (RFC 7591, section 3).
func register(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	initial, _ := request.Bearer(c.Request.Header)
	raw, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	if err != nil || len(raw) > maxBody {
		return refusal(http.StatusBadRequest, "invalid_client_metadata", "the body is too long, or broke off"), nil
	}
	var asked ClientRegistration
	if err := json.Unmarshal(raw, &asked); err != nil {
		return refusal(http.StatusBadRequest, "invalid_client_metadata", "the body is no JSON object, or a field of it is of another type"), nil
	}
	wanted, refused := asked.client()
	if refused != nil {
		return refused, nil
	}
	made, secret, err := c.Auth.RegisterOpenIDClient(ctx, c.Client, initial, wanted)
	switch {
	case errors.Is(err, openid.ErrToken):
		out := refusal(http.StatusUnauthorized, "invalid_token", "the initial access token is not valid")
		out.Header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return out, nil
	case err != nil:
		return nil, err
	}
	return unkept(http.StatusCreated, RegisteredClientResponse{
		ClientID: made.ID, ClientSecret: secret, ClientIDIssuedAt: c.Now().Unix(), ClientRegistration: registrationOf(made, asked.TokenEndpointAuthMethod),
	}), nil
}

// client is the client that is asked for, or why there can be none.
func (m ClientRegistration) client() (openid.Client, endpoint.Answer) {
	alg := token.RS256 // where it is left out (Dynamic Client Registration 1.0, section 2)
	if m.IDTokenSignedAlg != nil {
		alg = *m.IDTokenSignedAlg
	}
	c := openid.Client{
		Name: m.ClientName, RedirectURIs: m.RedirectURIs, PostLogoutRedirectURIs: m.PostLogoutRedirectURIs, BackchannelLogoutURI: m.BackchannelLogoutURI,
		GrantTypes: m.GrantTypes, Algorithm: alg, LogoURI: m.LogoURI,
	}
	switch m.TokenEndpointAuthMethod {
	case "", oidc.AuthMethodBasic, oidc.AuthMethodPost:
	case oidc.AuthMethodNone:
		c.Public = true
	default:
		return c, refusal(http.StatusBadRequest, "invalid_client_metadata", "token_endpoint_auth_method: must be client_secret_basic, client_secret_post or none")
	}
	for _, kind := range m.ResponseTypes {
		if kind != string(oidc.ResponseTypeCode) {
			return c, refusal(http.StatusBadRequest, "invalid_client_metadata", "response_types: must be code")
		}
	}
	known := openid.Client{Scopes: openid.Scopes()}
	if asked := strings.Fields(m.Scope); len(asked) > 0 {
		if c.Scopes = known.Allowed(asked); len(c.Scopes) == 0 {
			return c, refusal(http.StatusBadRequest, "invalid_client_metadata", "scope: must have one of "+strings.Join(openid.Scopes(), " "))
		}
	}
	return c, faultOf(c)
}

// faultOf tells what is wrong with a client, but for what it gets here: an id and a secret.
func faultOf(c openid.Client) endpoint.Answer {
	c.ID = "new"
	if !c.Public {
		c.SecretDigest = openid.DigestOf("new")
	}
	var texts []string
	kind := "invalid_client_metadata"
	for _, fault := range c.WithDefaults().Faults() {
		if strings.HasPrefix(fault.Error(), "redirect_uri:") {
			kind = "invalid_redirect_uri"
		}
		texts = append(texts, fault.Error())
	}
	if len(texts) == 0 {
		return nil
	}
	return refusal(http.StatusBadRequest, kind, strings.Join(texts, "; "))
}

// registrationOf is what a client was registered with.
func registrationOf(c openid.Client, method oidc.AuthMethod) ClientRegistration {
	switch {
	case c.Public:
		method = oidc.AuthMethodNone
	case method == "":
		method = oidc.AuthMethodBasic
	}
	return ClientRegistration{
		RedirectURIs: c.RedirectURIs, ClientName: c.Name, TokenEndpointAuthMethod: method, GrantTypes: c.GrantTypes,
		ResponseTypes: []string{string(oidc.ResponseTypeCode)}, Scope: strings.Join(c.Scopes, " "), LogoURI: c.LogoURI, IDTokenSignedAlg: &c.Algorithm,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, BackchannelLogoutURI: c.BackchannelLogoutURI,
	}
}
