package openid_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore/openid"
)

func TestClientFaults(t *testing.T) {
	t.Parallel()
	good := openid.Client{ID: "app", SecretDigest: openid.DigestOf("secret"), RedirectURIs: []string{"https://app.example.com/callback"}}.WithDefaults()
	if faults := good.Faults(); len(faults) > 0 {
		t.Fatalf("%v", faults)
	}
	for name, change := range map[string]func(*openid.Client){
		"id": func(c *openid.Client) { c.ID = "" }, "id: \"a:b\"": func(c *openid.Client) { c.ID = "a:b" }, "id: \"ä\"": func(c *openid.Client) { c.ID = "ä" },
		"secret: missing": func(c *openid.Client) { c.SecretDigest = "" }, "secret: a public": func(c *openid.Client) { c.Public = true },
		"grant_types: there is no": func(c *openid.Client) { c.GrantTypes = []string{"password"} },
		"grant_types: client_credentials": func(c *openid.Client) {
			c.Public, c.SecretDigest, c.GrantTypes = true, "", []string{openid.GrantCode, openid.GrantCredentials}
		},
		"scopes": func(c *openid.Client) { c.Scopes = []string{"a b"} }, "id_token_signed_response_alg": func(c *openid.Client) { c.Algorithm = "HS256" },
		"access_token": func(c *openid.Client) { c.AccessTokenFormat = "saml" }, "redirect_uri: missing": func(c *openid.Client) { c.RedirectURIs = nil },
		"backchannel_logout_uri": func(c *openid.Client) { c.BackchannelLogoutURI = "ftp://app.example.com" }, "logo_uri": func(c *openid.Client) { c.LogoURI = "logo.png" },
		"post_logout_redirect_uri": func(c *openid.Client) { c.PostLogoutRedirectURIs = []string{"/bye"} },
	} {
		c := good
		change(&c)
		faults := c.Faults()
		if len(faults) == 0 || !strings.HasPrefix(faults[0].Error(), name) {
			t.Errorf("%s: %v", name, faults)
		}
	}
	for _, uri := range []string{
		"", "callback", "/callback", "//app.example.com/callback", "https://", "https://*.example.com/callback", "https://app.example.com/*", "https://app.example.com/#x", "https://app.example.com/#",
		"https://user@app.example.com/", "https://app.example.com/../callback", "https://app.example.com/./callback", "javascript:alert(1)", "data:text/html,x", "how.mana.app:/callback",
		"https://app.example.com/a b", "https://app.example.com/\n", `https://app.example.com\@evil.test/`,
	} {
		c := good
		c.RedirectURIs = []string{uri}
		if len(c.Faults()) == 0 {
			t.Errorf("%q can be registered", uri)
		}
	}
	phone := openid.Client{ID: "phone", Public: true, RedirectURIs: []string{"how.mana.app:/callback", "http://127.0.0.1/callback"}}.WithDefaults()
	if faults := phone.Faults(); len(faults) > 0 {
		t.Errorf("%v", faults)
	}
	phone.RedirectURIs = []string{"javascript:alert(1)"}
	if len(phone.Faults()) == 0 {
		t.Error("a scheme without a dot can be registered")
	}
}

func TestClientKeepsItsSecretAlone(t *testing.T) {
	t.Parallel()
	c := openid.Client{SecretDigest: openid.DigestOf("secret")}
	if !c.Keeps("secret") || c.Keeps("Secret") || c.Keeps("") || c.Keeps(c.SecretDigest) {
		t.Error("another secret is taken, or its own is not")
	}
	if (openid.Client{}).Keeps("") || (openid.Client{Public: true, SecretDigest: c.SecretDigest}).Keeps("secret") {
		t.Error("a client without a secret keeps one")
	}
}

// The vector of RFC 7636, appendix B.
func TestCodeAnswers(t *testing.T) {
	t.Parallel()
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	c := openid.Code{CodeChallenge: challenge}
	if !openid.ChallengeFits(challenge) || openid.ChallengeFits(verifier+"=") || openid.ChallengeFits("") || openid.ChallengeFits(challenge[:42]) {
		t.Error("what a challenge is")
	}
	if !c.Answers(verifier) || c.Answers(challenge) || c.Answers("") || (openid.Code{}).Answers(verifier) || !(openid.Code{}).Answers("") {
		t.Error("what answers a challenge")
	}
}

func TestConsentCovers(t *testing.T) {
	t.Parallel()
	list := []openid.Consent{{ClientID: "a", Scopes: []string{"openid", "email"}}, {ClientID: "b", Scopes: []string{"openid", "profile"}}}
	for _, tt := range []struct {
		client, scopes string
		want           bool
	}{{"a", "openid", true}, {"a", "email openid", true}, {"a", "openid profile", false}, {"b", "profile", true}, {"c", "openid", false}, {"a", "", true}, {"c", "", false}} {
		if got := openid.Covers(list, tt.client, strings.Fields(tt.scopes)); got != tt.want {
			t.Errorf("%s %q: %v", tt.client, tt.scopes, got)
		}
	}
}

func FuzzRedirectsTo(f *testing.F) {
	c := openid.Client{Public: true, RedirectURIs: []string{"https://app.example.com/callback", "http://127.0.0.1/callback"}}
	for _, seed := range []string{"https://app.example.com/callback", "http://127.0.0.1:1/callback", "http://[::1]/callback", "http://127.0.0.1@evil.test/callback", "http://127.0.0.1:80@evil.test/callback"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.RedirectsTo(uri) || uri == c.RedirectURIs[0] {
			return
		}
		rest, ok := strings.CutPrefix(uri, "http://127.0.0.1")
		port, ok2 := strings.CutSuffix(rest, "/callback")
		if !ok || !ok2 || strings.ContainsFunc(strings.TrimPrefix(port, ":"), func(r rune) bool { return r < '0' || r > '9' }) {
			t.Fatalf("%q is taken", uri)
		}
	})
}
