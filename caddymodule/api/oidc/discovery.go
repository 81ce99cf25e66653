package oidc

import (
	"context"
	"encoding/json"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/text/language"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/endpoint"
)

// OpenIDConfigurationResponse is what a client learns of the provider (OpenID Connect
// Discovery 1.0, section 3, and RFC 8414, section 2).
type OpenIDConfigurationResponse struct {
	*oidc.DiscoveryConfiguration
	// IssInResponse is of RFC 9207, section 3.
	IssInResponse bool `json:"authorization_response_iss_parameter_supported"`
	// PromptValuesSupported is of Initiating User Registration 1.0, section 4.1.
	PromptValuesSupported []string `json:"prompt_values_supported"`
}

func discovery(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	at := func(name string) string { return c.Auth.Issuer() + base + name }
	var algorithms []string
	for _, a := range c.Auth.SigningAlgorithms() {
		algorithms = append(algorithms, string(a))
	}
	var grants []oidc.GrantType
	for _, g := range openid.Grants() {
		grants = append(grants, oidc.GrantType(g))
	}
	bySecret := []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
	doc := OpenIDConfigurationResponse{
		DiscoveryConfiguration: &oidc.DiscoveryConfiguration{
			Issuer: c.Auth.Issuer(), AuthorizationEndpoint: at("authorize"), TokenEndpoint: at("token"), UserinfoEndpoint: at("userinfo"),
			IntrospectionEndpoint: at("introspect"), RevocationEndpoint: at("revoke"), EndSessionEndpoint: at("endsession"),
			DeviceAuthorizationEndpoint: at("device_authorization"), JwksURI: c.Auth.Issuer() + "/api/auth/jwks",
			ScopesSupported: openid.Scopes(), ResponseTypesSupported: []string{string(oidc.ResponseTypeCode)}, ResponseModesSupported: []string{string(oidc.ResponseModeQuery)},
			GrantTypesSupported: grants, ACRValuesSupported: []string{acrManyFactors, acrOneFactor}, SubjectTypesSupported: []string{"public"},
			IDTokenSigningAlgValuesSupported:          algorithms,
			TokenEndpointAuthMethodsSupported:         append(bySecret, oidc.AuthMethodNone),
			RevocationEndpointAuthMethodsSupported:    append(bySecret, oidc.AuthMethodNone),
			IntrospectionEndpointAuthMethodsSupported: bySecret,
			ClaimTypesSupported:                       []string{"normal"},
			UILocalesSupported:                        oidc.Locales{language.English, language.German},
			ClaimsSupported: []string{
				"sub", "iss", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time", "amr", "acr", "azp", "nonce", "at_hash",
				"email", "email_verified", "name", "given_name", "family_name", "picture", "profile", "updated_at",
			},
			CodeChallengeMethodsSupported:     []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
			BackChannelLogoutSupported:        true,
			BackChannelLogoutSessionSupported: true,
		},
		IssInResponse: true, PromptValuesSupported: []string{oidc.PromptNone, oidc.PromptLogin, oidc.PromptConsent, oidc.PromptSelectAccount},
	}
	if c.Auth.RegistersClients() {
		doc.RegistrationEndpoint = at("register")
	}
	out, err := json.Marshal(doc)
	return endpoint.Document{ContentType: "application/json; charset=utf-8", CacheControl: "public, max-age=300", Body: out}, err
}
