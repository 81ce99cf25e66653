package config

import (
	"hash"
	"maps"
	"slices"
	"strconv"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
)

// providers resolves whom users may sign in with. No fault quotes a value but names
// and ids.
func (r *resolver) providers(configs []ProviderConfig) (list []provider.Config) {
	const directive = "provider"
	for _, c := range configs {
		expand := func(text string) string { return r.expand(directive, text) }
		p := provider.Config{
			Kind: provider.Kind(expand(c.Kind)), ID: expand(c.ID), Name: expand(c.Name),
			Issuer: expand(c.Issuer), Endpoint: expand(c.Endpoint),
			ClientID: expand(c.ClientID), ClientSecret: expand(c.ClientSecret),
			TeamID: expand(c.TeamID), KeyID: expand(c.KeyID), PrivateKey: expand(c.PrivateKey),
			RoleClaim: expand(c.RoleClaim), Only: c.Only,
		}
		for _, audience := range c.Audiences {
			p.Audiences = append(p.Audiences, splitList(expand(audience))...)
		}
		for _, scope := range c.Scopes {
			p.Scopes = append(p.Scopes, splitList(expand(scope))...)
		}
		for value, role := range c.Roles {
			if p.Roles == nil {
				p.Roles = make(map[string]principal.Role)
			}
			p.Roles[expand(value)] = principal.Role(expand(role))
		}
		if p.Kind != provider.OpenID && p.ID != "" && p.ID != string(p.Kind) {
			r.fault(directive, "%s: only oidc takes a name", p.Kind)
		}
		r.unused(p)
		p = p.WithDefaults()
		for _, text := range p.Faults() {
			r.fault(directive, "%s: %s", describe(p), text)
		}
		if slices.ContainsFunc(list, func(other provider.Config) bool { return other.ID == p.ID }) {
			r.fault(directive, "%s is there twice", describe(p))
		}
		list = append(list, p)
	}
	return list
}

// describe names a provider in a fault. What is no kind may be a misplaced secret.
func describe(p provider.Config) string {
	switch {
	case !slices.Contains([]provider.Kind{provider.Google, provider.Apple, provider.GitHub, provider.OpenID}, p.Kind):
		return "the kind"
	case p.Kind == provider.OpenID:
		return "oidc"
	}
	return string(p.Kind)
}

// unused refuses what a provider of the kind has no use for.
func (r *resolver) unused(p provider.Config) {
	apple := p.Kind == provider.Apple
	for _, option := range []struct {
		name       string
		set, taken bool
	}{
		{"issuer", p.Issuer != "", p.Kind != provider.GitHub},
		{"endpoint", p.Endpoint != "", p.Kind == provider.GitHub},
		{"client_secret", p.ClientSecret != "", !apple},
		{"team_id", p.TeamID != "", apple}, {"key_id", p.KeyID != "", apple}, {"private_key", p.PrivateKey != "", apple},
		{"audiences", len(p.Audiences) > 0, p.Kind != provider.GitHub},
	} {
		if option.set && !option.taken {
			r.fault("provider", "%s: takes no %s", describe(p), option.name)
		}
	}
}

// hashProviders writes what a runtime is made of.
func hashProviders(h hash.Hash, list []provider.Config) {
	hashFields(h, strconv.Itoa(len(list)))
	for _, p := range list {
		hashFields(h, p.ID, string(p.Kind), p.Name, p.Issuer, p.Endpoint, p.ClientID, p.ClientSecret,
			p.TeamID, p.KeyID, p.PrivateKey, p.RoleClaim, strconv.FormatBool(p.Only), strconv.Itoa(len(p.Audiences)))
		hashFields(h, p.Audiences...)
		hashFields(h, strconv.Itoa(len(p.Scopes)))
		hashFields(h, p.Scopes...)
		for _, value := range slices.Sorted(maps.Keys(p.Roles)) {
			hashFields(h, value, string(p.Roles[value]))
		}
	}
}
