package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/caddymodule/config"
)

func noVariables(string) (string, bool) { return "", false }

// parseBlock reads the directives of a mana block.
func parseBlock(t *testing.T, directives string) (config.Config, error) {
	t.Helper()
	var c config.Config
	d := caddyfile.NewTestDispenser("mana {\n base_url https://auth.mana.how\n database embedded\n" + directives + "\n}")
	d.Next()
	err := c.UnmarshalCaddyfile(d)
	return c, err
}

func applePEM(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestProviders(t *testing.T) {
	t.Parallel()
	key := applePEM(t, elliptic.P256())
	c, err := parseBlock(t, fmt.Sprintf(`
	provider oidc keycloak {
		issuer https://sso.example.com/realms/staff
		client_id mana
		client_secret a-secret
		name "Company login"
		scopes openid email profile groups
		role_claim realm_access.roles a=b=admin staff=user
		only
	}
	provider google {
		client_id g
		client_secret a-secret
		audiences android ios
	}
	provider apple {
		client_id how.mana.web
		team_id T
		key_id K
		private_key "%s"
	}
	provider github {
		client_id h
		client_secret a-secret
		endpoint https://git.example.com
	}`, key))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Resolve(noVariables)
	if err != nil {
		t.Fatal(err)
	}
	want := []provider.Config{
		{ID: "keycloak", Kind: provider.OpenID, Name: "Company login", Issuer: "https://sso.example.com/realms/staff", ClientID: "mana", ClientSecret: "a-secret",
			Scopes: []string{"openid", "email", "profile", "groups"}, RoleClaim: "realm_access.roles",
			Roles: map[string]principal.Role{"a=b": principal.RoleAdmin, "staff": principal.RoleUser}, Only: true},
		{ID: "google", Kind: provider.Google, Name: "Google", Issuer: "https://accounts.google.com", ClientID: "g", ClientSecret: "a-secret",
			Audiences: []string{"android", "ios"}, Scopes: []string{"openid", "email", "profile"}},
		{ID: "apple", Kind: provider.Apple, Name: "Apple", Issuer: "https://appleid.apple.com", ClientID: "how.mana.web", TeamID: "T", KeyID: "K",
			PrivateKey: strings.TrimSpace(key), Scopes: []string{"name", "email"}},
		{ID: "github", Kind: provider.GitHub, Name: "GitHub", Endpoint: "https://git.example.com", ClientID: "h", ClientSecret: "a-secret", Scopes: []string{"read:user", "user:email"}},
	}
	if diff := cmp.Diff(want, s.Providers); diff != "" {
		t.Errorf("providers, in the order of the file (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Providers, s.Auth().Providers); diff != "" {
		t.Errorf("the core gets others:\n%s", diff)
	}
	if text := fmt.Sprintf("%v %+v %#v", s.Providers, s.Providers[0], s.Providers); strings.Contains(text, "a-secret") || strings.Contains(text, "PRIVATE") {
		t.Errorf("a secret prints: %s", text)
	}
}

func TestFaultsOfProviders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ block, want string }{
		"no such kind": {`provider facebook { 
 client_id a
 client_secret hidden
 }`, "provider: the kind: is none of google, apple, github, oidc <name>"},
		"oidc without a name":     {"provider oidc {\n client_id a\n }", "provider: takes google, apple, github, or oidc and a name"},
		"google with a name":      {"provider google work {\n client_id a\n }", "provider: takes google, apple, github, or oidc and a name"},
		"no client":               {"provider google {\n client_secret hidden\n }", "provider: google: client_id: missing"},
		"no secret":               {"provider google {\n client_id a\n }", "provider: google: client_secret: missing"},
		"a name that is taken":    {"provider oidc google {\n issuer https://a.example\n client_id a\n client_secret hidden\n }", "provider: oidc: the name is taken"},
		"a name like passwords":   {"provider oidc credential {\n issuer https://a.example\n client_id a\n client_secret hidden\n }", "provider: oidc: the name is taken"},
		"a name that is none":     {"provider oidc Work! {\n issuer https://a.example\n client_id a\n client_secret hidden\n }", "provider: oidc: a name has lower-case letters"},
		"no issuer":               {"provider oidc a {\n client_id a\n client_secret hidden\n }", "provider: oidc: issuer: missing"},
		"issuer by http":          {"provider oidc a {\n issuer http://a.example\n client_id a\n client_secret hidden\n }", "provider: oidc: issuer: is not an https URL"},
		"twice":                   {"provider github {\n client_id a\n client_secret hidden\n }\n provider github {\n client_id a\n client_secret hidden\n }", "provider: github is there twice"},
		"no openid":               {"provider google {\n client_id a\n client_secret hidden\n scopes email\n }", "provider: google: scopes: openid is missing"},
		"no such role":            {"provider oidc a {\n issuer https://a.example\n client_id a\n client_secret hidden\n role_claim groups x=service\n }", "provider: oidc: role_claim: a role is user or admin"},
		"no mapping":              {"provider oidc a {\n role_claim groups\n }", "provider role_claim: takes a claim and one value=role or more"},
		"a mapping that is none":  {"provider oidc a {\n role_claim groups admins\n }", "provider role_claim: what follows the claim is value=role"},
		"roles of GitHub":         {"provider github {\n client_id a\n client_secret hidden\n role_claim groups a=admin\n }", "provider: github: role_claim: github has no such claims"},
		"a key that is none":      {"provider apple {\n client_id a\n team_id t\n key_id k\n private_key hidden\n }", "provider: apple: private_key: is no PEM"},
		"no team":                 {"provider apple {\n client_id a\n }", "provider: apple: team_id: missing"},
		"a secret for Apple":      {"provider apple {\n client_id a\n client_secret hidden\n }", "provider: apple: takes no client_secret"},
		"an issuer for GitHub":    {"provider github {\n client_id a\n client_secret hidden\n issuer https://a.example\n }", "provider: github: takes no issuer"},
		"an endpoint with a path": {"provider github {\n client_id a\n client_secret hidden\n endpoint https://a.example/api\n }", "provider: github: endpoint: must be scheme and host"},
		"an option that is none":  {"provider github {\n tenant a\n }", "provider has no directive"},
		"only with a word":        {"provider github {\n only sometimes\n }", "takes no arguments"},
		"a placeholder":           {"provider github {\n client_id a\n client_secret {what.hidden}\n }", "provider: holds an unknown placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := parseBlock(t, tt.block)
			if err == nil {
				_, err = c.Resolve(noVariables)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	c, _ := parseBlock(t, fmt.Sprintf("provider apple {\n client_id a\n team_id t\n key_id k\n private_key \"%s\"\n }", applePEM(t, elliptic.P384())))
	if _, err := c.Resolve(noVariables); err == nil || !strings.Contains(err.Error(), "private_key: is not on the curve P-256") {
		t.Errorf("a key of another curve: %v", err)
	}
}

// TestProvidersInTheKey: whatever is changed of a provider makes another runtime.
func TestProvidersInTheKey(t *testing.T) {
	t.Parallel()
	settings := func(change func(*config.ProviderConfig)) config.Settings {
		p := config.ProviderConfig{Kind: "oidc", ID: "a", Issuer: "https://a.example", ClientID: "c", ClientSecret: "s",
			RoleClaim: "groups", Roles: map[string]string{"x": "admin"}}
		change(&p)
		s, err := config.Config{BaseURL: "https://auth.mana.how", Database: &config.DatabaseConfig{Embedded: &config.EmbeddedConfig{}},
			Providers: []config.ProviderConfig{p}}.Resolve(noVariables)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := settings(func(*config.ProviderConfig) {}).Key()
	for name, change := range map[string]func(*config.ProviderConfig){
		"nothing": func(*config.ProviderConfig) {},
		"id":      func(p *config.ProviderConfig) { p.ID = "b" }, "name": func(p *config.ProviderConfig) { p.Name = "n" },
		"issuer": func(p *config.ProviderConfig) { p.Issuer = "https://b.example" }, "client": func(p *config.ProviderConfig) { p.ClientID = "d" },
		"secret": func(p *config.ProviderConfig) { p.ClientSecret = "t" }, "audiences": func(p *config.ProviderConfig) { p.Audiences = []string{"x"} },
		"scopes": func(p *config.ProviderConfig) { p.Scopes = []string{"openid"} }, "claim": func(p *config.ProviderConfig) { p.RoleClaim = "g" },
		"roles": func(p *config.ProviderConfig) { p.Roles = map[string]string{"y": "admin"} }, "only": func(p *config.ProviderConfig) { p.Only = true },
	} {
		if same := settings(change).Key() == first; same != (name == "nothing") {
			t.Errorf("%s changed: the same runtime: %v", name, same)
		}
	}
}
