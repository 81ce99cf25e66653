package config_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/config"
)

func parsed(t *testing.T, block string) (c config.Config, err error) {
	t.Helper()
	d := caddyfile.NewTestDispenser("mana {\n\tbase_url https://auth.mana.how\n\tcookie_domain .mana.how\n\tdatabase embedded\n" + block + "\n}")
	d.Next()
	err = c.UnmarshalCaddyfile(d)
	return c, err
}

func TestOpenIDClients(t *testing.T) {
	t.Parallel()
	c, err := parsed(t, `	oidc_client grafana {
		name "Grafana of Mana"
		secret {$NOTHING}s3cret
		redirect_uri https://a.mana.how/cb https://b.mana.how/cb
		redirect_uri https://c.mana.how/cb
		post_logout_redirect_uri https://a.mana.how/bye
		backchannel_logout_uri https://a.mana.how/logout
		trusted
		scopes openid email reports:read
		grant_types authorization_code client_credentials
		id_token_signed_response_alg RS256
		access_token jwt
		audience https://api.mana.how
		logo_uri https://a.mana.how/logo.svg
	}
	oidc_client phone {
		public
		redirect_uri how.mana.app:/cb
	}`)
	if err != nil {
		t.Fatal(err)
	}
	env := config.Environment(func(name string) (string, bool) {
		if name == "SYNAPSE_OIDC_CLIENT_SECRET" {
			return "synapse secret", true
		}
		return "", false
	})
	settings, err := c.Resolve(env)
	if err != nil {
		t.Fatal(err)
	}
	if len(settings.OpenIDClients) != 3 {
		t.Fatalf("%+v", settings.OpenIDClients)
	}
	grafana, phone, synapse := settings.OpenIDClients[0], settings.OpenIDClients[1], settings.OpenIDClients[2]
	if grafana.Name != "Grafana of Mana" || len(grafana.RedirectURIs) != 3 || !grafana.Trusted || grafana.Public || grafana.Algorithm != token.RS256 || grafana.AccessTokenFormat != openid.JWT ||
		grafana.Audience != "https://api.mana.how" || !grafana.LeavesTo("https://a.mana.how/bye") || !grafana.May(openid.GrantCredentials) || grafana.May(openid.GrantRefresh) || len(grafana.Scopes) != 3 {
		t.Errorf("%+v", grafana)
	}
	if phone.Name != "phone" || !phone.Public || !phone.RedirectsTo("how.mana.app:/cb") || len(phone.Scopes) != 4 || !phone.May(openid.GrantRefresh) {
		t.Errorf("%+v", phone)
	}
	if synapse.ID != "matrix-synapse" || synapse.Name != "Matrix Chat" || !synapse.Trusted || !synapse.Keeps("synapse secret") || !synapse.RedirectsTo("https://matrix.mana.how/_synapse/client/oidc/callback") {
		t.Errorf("%+v", synapse)
	}

	// Another secret is another runtime, as for everything a client is.
	other := c
	other.OIDCClients = append([]config.OIDCClientConfig{}, c.OIDCClients...)
	other.OIDCClients[0].Secret = "another"
	changed, err := other.Resolve(env)
	if err != nil || changed.Key() == settings.Key() {
		t.Errorf("a changed secret is not taken up (%v)", err)
	}
	elsewhere, err := c.Resolve(func(name string) (string, bool) {
		switch name {
		case "SYNAPSE_OIDC_CLIENT_SECRET":
			return "s", true
		case "SYNAPSE_OIDC_REDIRECT_URI":
			return "https://chat.mana.how/cb", true
		}
		return "", false
	})
	if err != nil || !elsewhere.OpenIDClients[2].RedirectsTo("https://chat.mana.how/cb") {
		t.Errorf("%+v, %v", elsewhere.OpenIDClients, err)
	}
}

func TestOpenIDRegistration(t *testing.T) {
	t.Parallel()
	env := config.Environment(func(string) (string, bool) { return "", false })
	const initial = "an-initial-access-token-of-an-admin"
	for block, want := range map[string]string{"": "", "oidc_registration " + initial: openid.DigestOf(initial)} {
		c, err := parsed(t, block)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := c.Resolve(env)
		if err != nil || settings.OpenIDRegistration != want || settings.Auth().OpenIDRegistration != want {
			t.Errorf("%q: %q, %v", block, settings.OpenIDRegistration, err)
		}
	}
	c, err := parsed(t, "oidc_registration short")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resolve(env); err == nil || !strings.Contains(err.Error(), "oidc_registration") || strings.Contains(err.Error(), "short") {
		t.Errorf("a short token: %v", err)
	}
}

func TestFaultsOfOpenIDClients(t *testing.T) {
	t.Parallel()
	none := config.Environment(func(string) (string, bool) { return "", false })
	for block, want := range map[string]string{
		"oidc_client a {\n\tredirect_uri https://a.mana.how/\n}":                                                                             "oidc_client: a: secret: missing",
		"oidc_client a {\n\tsecret s3cr3t\n}":                                                                                                "oidc_client: a: redirect_uri: missing",
		"oidc_client a {\n\tsecret s3cr3t\n\tredirect_uri https://a.mana.how/*\n}":                                                           "oidc_client: a: redirect_uri:",
		"oidc_client a {\n\tsecret s3cr3t\n\tpublic\n\tredirect_uri https://a.mana.how/\n}":                                                  "oidc_client: a: secret: a public client has none",
		"oidc_client a {\n\tpublic\n\tredirect_uri https://a.mana.how/\n\tgrant_types password\n}":                                           "oidc_client: a: grant_types: there is no",
		"oidc_client a {\n\tpublic\n\tredirect_uri https://a.mana.how/\n\taccess_token saml\n}":                                              "oidc_client: a: access_token: there is no",
		"oidc_client a {\n\tpublic\n\tredirect_uri https://a.mana.how/\n}\noidc_client a {\n\tpublic\n\tredirect_uri https://a.mana.how/\n}": "oidc_client: a is there twice",
		"oidc_client {\n\tpublic\n}":       "oidc_client",
		"oidc_client a {\n\tpublic yes\n}": "public: takes no arguments",
		"oidc_client a {\n\tnothing\n}":    "nothing",
	} {
		c, err := parsed(t, block)
		if err == nil {
			_, err = c.Resolve(none)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want %q", block, err, want)
		}
	}
}
