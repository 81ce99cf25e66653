package config

import (
	"encoding/json"
	"slices"
	"strings"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
)

// openIDClients resolves the clients of the OpenID provider, and adds the one that the
// replaced service knew from its environment.
func (r *resolver) openIDClients(configs []OIDCClientConfig, cookieDomain string) (list []openid.Client) {
	for _, c := range configs {
		secret := r.expand("oidc_client", c.Secret)
		client := openid.Client{
			ID: r.expand("oidc_client", c.ID), Name: r.expand("oidc_client", c.Name), Public: c.Public, Trusted: c.Trusted,
			RedirectURIs: r.each(c.RedirectURIs), PostLogoutRedirectURIs: r.each(c.PostLogoutRedirectURIs),
			BackchannelLogoutURI: r.expand("oidc_client", c.BackchannelLogoutURI), Scopes: r.each(c.Scopes),
			GrantTypes: r.each(c.GrantTypes), Algorithm: token.Algorithm(r.expand("oidc_client", c.IDTokenSignedResponseAlg)),
			AccessTokenFormat: openid.Format(r.expand("oidc_client", c.AccessToken)), Audience: r.expand("oidc_client", c.Audience),
			LogoURI: r.expand("oidc_client", c.LogoURI),
		}
		if secret != "" {
			client.SecretDigest = openid.DigestOf(secret)
		}
		list = append(list, client.WithDefaults())
	}
	if secret := r.env.Get("SYNAPSE_OIDC_CLIENT_SECRET"); secret != "" && !slices.ContainsFunc(list, func(c openid.Client) bool { return c.ID == openid.SynapseID }) {
		list = append(list, r.synapse(secret, cookieDomain))
	}
	seen := make(map[string]bool)
	for _, client := range list {
		for _, fault := range client.Faults() {
			r.fault("oidc_client", "%s: %w", client.ID, fault)
		}
		if seen[client.ID] {
			r.fault("oidc_client", "%s is there twice", client.ID)
		}
		seen[client.ID] = true
	}
	return list
}

// shortestInitialToken is how many bytes an initial access token has at least.
const shortestInitialToken = 32

// openIDRegistration resolves the token by which clients register themselves.
func (r *resolver) openIDRegistration(raw string) (digest string) {
	token := r.expand("oidc_registration", raw)
	switch {
	case raw == "":
		return ""
	case len(token) < shortestInitialToken:
		r.fault("oidc_registration", "the token has fewer than %d bytes", shortestInitialToken)
		return ""
	}
	return openid.DigestOf(token)
}

// synapse is the Matrix server of the family, as the replaced service had it.
func (r *resolver) synapse(secret, cookieDomain string) openid.Client {
	redirect := r.env.Get("SYNAPSE_OIDC_REDIRECT_URI")
	if redirect == "" {
		redirect = "https://matrix." + strings.TrimPrefix(cookieDomain, ".") + "/_synapse/client/oidc/callback"
	}
	return openid.Client{
		ID: openid.SynapseID, Name: "Matrix Chat", SecretDigest: openid.DigestOf(secret), Trusted: true, RedirectURIs: []string{redirect},
	}.WithDefaults()
}

// each expands a list of a client, and passes over what comes to nothing.
func (r *resolver) each(raw []string) (list []string) {
	for _, text := range raw {
		if text = r.expand("oidc_client", text); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// hashableClients is what makes clients differ.
func hashableClients(list []openid.Client) string {
	doc, err := json.Marshal(list)
	if err != nil {
		panic(err) // texts and flags
	}
	return string(doc)
}
