package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/internal/providertest"
)

func configOf(s *providertest.Server) provider.Config {
	return provider.Config{Kind: provider.OpenID, ID: "acme", Issuer: s.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret}
}

func client(t *testing.T, cfg provider.Config) *provider.Provider {
	t.Helper()
	p, err := provider.New(cfg, provider.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

var request = provider.Request{
	RedirectURI: "https://auth.example.test/api/auth/callback/acme", State: strings.Repeat("s", 43),
	Nonce: strings.Repeat("n", 43), Verifier: strings.Repeat("v", 43),
}

// walk goes to the provider and back.
func walk(t *testing.T, p *provider.Provider, s *providertest.Server, req provider.Request) (provider.Identity, error) {
	t.Helper()
	address, err := p.AuthorizationURL(t.Context(), req)
	if err != nil {
		return provider.Identity{}, err
	}
	back := s.Authorize(address)
	return p.Redeem(t.Context(), req, provider.Response{Code: back.Get("code"), Issuer: back.Get("iss")})
}

func reasonOf(err error) provider.Reason {
	var why *provider.Error
	if errors.As(err, &why) {
		return why.Reason
	}
	return ""
}

func TestSignsByEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		s := providertest.New(t)
		s.Rotate("k", algorithm)
		id, err := walk(t, client(t, configOf(s)), s, request)
		want := provider.Identity{Provider: "acme", Subject: "ada-at-provider", Email: "ada@example.test", EmailVerified: true, Name: "Ada",
			Tokens: provider.Tokens{Access: "access-token-of-the-provider", Refresh: "refresh-token-of-the-provider", Scope: "openid email profile"}}
		if diff := cmp.Diff(want, id, cmpopts.IgnoreFields(provider.Tokens{}, "ID", "AccessExpires")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", algorithm, err, diff)
		}
	}
}

// TestMisbehavingProviders is what RFC 9700 and OpenID Connect Core, section
// 3.1.3.7, have a client refuse.
func TestMisbehavingProviders(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	claims := func(change func(map[string]any)) func(*providertest.Server) {
		return func(s *providertest.Server) { s.Claims = change }
	}
	set := func(name string, value any) func(*providertest.Server) {
		return claims(func(c map[string]any) { c[name] = value })
	}
	for name, tt := range map[string]struct {
		misbehave func(*providertest.Server)
		want      provider.Reason
	}{
		"nothing":                {func(*providertest.Server) {}, ""},
		"nonce missing":          {claims(func(c map[string]any) { delete(c, "nonce") }), provider.Nonce},
		"nonce wrong":            {set("nonce", strings.Repeat("x", 43)), provider.Nonce},
		"nonce empty":            {set("nonce", ""), provider.Nonce},
		"issuer foreign":         {set("iss", "https://evil.test"), provider.Issuer},
		"issuer with a slash":    {claims(func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }), provider.Issuer},
		"audience foreign":       {set("aud", "another"), provider.Audience},
		"audience missing":       {claims(func(c map[string]any) { delete(c, "aud") }), provider.Audience},
		"audiences without azp":  {set("aud", []string{providertest.ClientID, "another"}), provider.Audience},
		"audiences, azp foreign": {claims(func(c map[string]any) { c["aud"], c["azp"] = []string{providertest.ClientID, "x"}, "x" }), provider.Audience},
		"azp foreign":            {set("azp", "another"), provider.Audience},
		"audiences with azp": {claims(func(c map[string]any) {
			c["aud"], c["azp"] = []string{providertest.ClientID, "x"}, providertest.ClientID
		}), ""},
		"one audience in an array":    {set("aud", []string{providertest.ClientID}), ""},
		"expired within leeway":       {set("exp", ago(time.Minute)), ""},
		"expired":                     {set("exp", ago(3*time.Minute)), provider.Expired},
		"no expiry":                   {claims(func(c map[string]any) { delete(c, "exp") }), provider.Expired},
		"clock a minute ahead":        {set("iat", ago(-time.Minute)), ""},
		"clock ten minutes ahead":     {set("iat", ago(-10*time.Minute)), provider.Clock},
		"not said when it was issued": {claims(func(c map[string]any) { delete(c, "iat") }), provider.Clock},
		"no subject":                  {claims(func(c map[string]any) { delete(c, "sub") }), provider.Claims},
		"long subject":                {set("sub", strings.Repeat("x", 256)), provider.Claims},
		"verified is a number":        {set("email_verified", 7), provider.Claims},
		"1 MB of claims":              {set("bio", strings.Repeat("x", 1<<20)), provider.Unavailable},
		"200 kB of claims":            {set("bio", strings.Repeat("x", 200<<10)), provider.NoToken},
		"algorithm none": {func(s *providertest.Server) {
			s.Sign = providertest.Unsigned
		}, provider.Token},
		"HS256 with the public key": {func(s *providertest.Server) {
			public, err := x509.MarshalPKIXPublicKey(s.PublicKey().Key)
			if err != nil {
				t.Fatal(err)
			}
			secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
			s.Sign = func(c map[string]any) string { return providertest.Sign(t, jose.HS256, secret, c) }
		}, provider.Token},
		"HS256 with the client secret": {func(s *providertest.Server) {
			s.Sign = func(c map[string]any) string {
				return providertest.Sign(t, jose.HS256, []byte(providertest.ClientSecret+providertest.ClientSecret), c)
			}
		}, provider.Token},
		"another key under the kid": {func(s *providertest.Server) {
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			s.Rotate("key-1", jose.ES256)
			s.Sign = func(c map[string]any) string {
				return providertest.Sign(t, jose.ES256, jose.JSONWebKey{Key: other, KeyID: "key-1"}, c)
			}
		}, provider.Signature},
		"algorithm that is not announced": {func(s *providertest.Server) {
			s.Rotate("k", jose.ES256)
			s.Metadata = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} }
		}, provider.Token},
		"only HS256 is announced": {func(s *providertest.Server) {
			s.Metadata = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"HS256"} }
		}, provider.Token},
		"10 000 keys": {func(s *providertest.Server) {
			key, err := json.Marshal(s.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			s.JWKS = func() []byte {
				small := `{"kty":"oct","k":"YQ"}`
				return []byte(`{"keys":[` + string(key) + strings.Repeat(","+small, 9_999) + `]}`)
			}
		}, provider.Keys},
		"2 MB of keys": {func(s *providertest.Server) {
			s.JWKS = func() []byte { return []byte(`{"keys":[` + strings.Repeat(" ", 2<<20) + `]}`) }
		}, provider.Keys},
		"keys are none":  {func(s *providertest.Server) { s.JWKS = func() []byte { return []byte(`<html>`) } }, provider.Keys},
		"no ID token":    {tokenEndpoint(`{"access_token":"a","token_type":"Bearer"}`), provider.NoToken},
		"an error":       {tokenEndpoint(`{"error":"invalid_grant"}`), provider.Code},
		"no JSON":        {tokenEndpoint(`<html>`), provider.Unavailable},
		"endless answer": {tokenEndpoint(`{"access_token":"` + strings.Repeat("x", 2<<20)), provider.Unavailable},
		"a redirect": {func(s *providertest.Server) {
			s.TokenEndpoint = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}
		}, provider.Unavailable},
		"discovery of another issuer": {func(s *providertest.Server) {
			s.Metadata = func(m map[string]any) { m["issuer"] = "https://evil.test" }
		}, provider.Unavailable},
		"an endpoint that is a script": {func(s *providertest.Server) {
			s.Metadata = func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" }
		}, provider.Unavailable},
		"issuer not in the answer, though announced": {func(s *providertest.Server) {
			s.Metadata = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
		}, provider.Issuer},
		"user info of another": {func(s *providertest.Server) {
			s.User.Email = ""
			s.UserInfo = map[string]any{"sub": "another", "email": "x@example.test"}
		}, provider.Claims},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := providertest.New(t)
			tt.misbehave(s)
			id, err := walk(t, client(t, configOf(s)), s, request)
			if got := reasonOf(err); got != tt.want || (err == nil) != (id.Subject != "") {
				t.Errorf("%v: reason %q, want %q", err, got, tt.want)
			}
		})
	}
}

func tokenEndpoint(body string) func(*providertest.Server) {
	return func(s *providertest.Server) {
		s.TokenEndpoint = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		}
	}
}

// TestResponses are what the browser can bring back.
func TestResponses(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	p := client(t, configOf(s))
	address, err := p.AuthorizationURL(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	code := func() string { return s.Authorize(address).Get("code") }
	for name, tt := range map[string]struct {
		response provider.Response
		want     provider.Reason
	}{
		"right, with the issuer": {provider.Response{Code: code(), Issuer: s.URL}, ""},
		"of another issuer":      {provider.Response{Code: code(), Issuer: "https://evil.test"}, provider.Issuer},
		"denied":                 {provider.Response{Fault: "access_denied"}, provider.Denied},
		"an error":               {provider.Response{Fault: "server_error", Code: code()}, provider.Failed},
		"nothing":                {provider.Response{}, provider.Failed},
		"a code that is none":    {provider.Response{Code: "made-up"}, provider.Code},
	} {
		if _, err := p.Redeem(t.Context(), request, tt.response); reasonOf(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	// A code of another request is refused by the provider, for the verifier is
	// another one, and by us, for the nonce is.
	other := request
	other.Verifier, other.Nonce = strings.Repeat("w", 43), strings.Repeat("m", 43)
	if _, err := p.Redeem(t.Context(), other, provider.Response{Code: code()}); reasonOf(err) != provider.Code {
		t.Errorf("a code of another request: %v", err)
	}
	s.NoPKCE = true
	if _, err := p.Redeem(t.Context(), other, provider.Response{Code: code()}); reasonOf(err) != provider.Nonce {
		t.Errorf("a code of another request, and a provider without PKCE: %v", err)
	}
}

// TestKeyRotation: a key that is new is found, but a stranger cannot make the set be
// fetched again and again.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	p := client(t, configOf(s))
	for i, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		s.Rotate(fmt.Sprintf("rotated-%d", i), algorithm)
		if _, err := walk(t, p, s, request); err != nil {
			t.Fatalf("after a rotation: %v", err)
		}
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.Sign = func(c map[string]any) string {
			return providertest.Sign(t, jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: fmt.Sprint("unknown-", i)}, c)
		}
		if _, err := walk(t, p, s, request); reasonOf(err) != provider.Signature {
			t.Fatalf("an unknown key: %v", err)
		}
	}
	if n := s.KeysServed(); n > 5 {
		t.Errorf("the key set was fetched %d times", n)
	}
}

// TestSlowProvider: a provider that drips its answer is given up, and another one
// answers meanwhile.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	slow, quick := providertest.New(t), providertest.New(t)
	slow.TokenEndpoint = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for range 300 {
			if _, err := w.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}
	done := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := walk(t, client(t, configOf(slow)), slow, request)
		done <- err
	}()
	if _, err := walk(t, client(t, configOf(quick)), quick, request); err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("beside a slow one, after %v: %v", time.Since(began), err)
	}
	if err := <-done; reasonOf(err) != provider.Unavailable || time.Since(began) > 15*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestProviderThatIsAway(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	p := client(t, configOf(s))
	s.Close()
	if _, err := p.AuthorizationURL(t.Context(), request); reasonOf(err) != provider.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestUserInfoFillsIn(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	s.User = providertest.User{Subject: "7"}
	s.UserInfo = map[string]any{"email": "ada@example.test", "email_verified": "true", "name": "Ada", "groups": []string{"staff", "admins"}}
	cfg := configOf(s)
	cfg.RoleClaim, cfg.Roles = "groups", map[string]principal.Role{"admins": principal.RoleAdmin}
	id, err := walk(t, client(t, cfg), s, request)
	if err != nil || id.Email != "ada@example.test" || !id.EmailVerified || id.Name != "Ada" || id.Role == nil || *id.Role != principal.RoleAdmin {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		claim  string
		claims map[string]any
		want   principal.Role
	}{
		"among others":    {"groups", map[string]any{"groups": []any{"staff", "admins"}}, principal.RoleAdmin},
		"one text":        {"groups", map[string]any{"groups": "admins"}, principal.RoleAdmin},
		"another":         {"groups", map[string]any{"groups": []any{"Admins", "admins "}}, principal.RoleUser},
		"none":            {"groups", map[string]any{}, principal.RoleUser},
		"of another form": {"groups", map[string]any{"groups": map[string]any{"admins": true}}, principal.RoleUser},
		"nested":          {"realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []any{"admins"}}}, principal.RoleAdmin},
		"a URL":           {"https://mana.how/roles", map[string]any{"https://mana.how/roles": []any{"admins"}}, principal.RoleAdmin},
	} {
		s := providertest.New(t)
		s.User.Claims = tt.claims
		cfg := configOf(s)
		cfg.RoleClaim, cfg.Roles = tt.claim, map[string]principal.Role{"admins": principal.RoleAdmin}
		id, err := walk(t, client(t, cfg), s, request)
		if err != nil || id.Role == nil || *id.Role != tt.want {
			t.Errorf("%s: %+v, %v", name, id.Role, err)
		}
	}
}

// TestAppleClientSecret: the secret is a JWT that Apple verifies with the key of the
// developer (Sign in with Apple REST API).
func TestAppleClientSecret(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := providertest.New(t)
	s.User.Verified = "true" // as Apple writes it
	p := client(t, provider.Config{
		Kind: provider.Apple, Issuer: s.URL, ClientID: providertest.ClientID, TeamID: "TEAM123456", KeyID: "KEY1234567",
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	var checked bool
	s.Secret = func(r *http.Request) bool {
		secret, err := jose.ParseSignedCompact(r.PostFormValue("client_secret"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Error(err)
			return false
		}
		payload, err := secret.Verify(key.Public())
		if err != nil {
			t.Error(err)
			return false
		}
		var c struct {
			Iss, Sub, Aud string
			Iat, Exp      int64
		}
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Error(err)
		}
		now := time.Now().Unix()
		checked = secret.Signatures[0].Header.KeyID == "KEY1234567" && c.Iss == "TEAM123456" && c.Sub == providertest.ClientID && c.Aud == s.URL &&
			c.Iat <= now && c.Exp > now && c.Exp <= now+15777000 && r.PostFormValue("client_id") == providertest.ClientID
		return checked
	}
	address, err := p.AuthorizationURL(t.Context(), request)
	if err != nil || !strings.Contains(address, "response_mode=form_post") || !strings.Contains(address, "scope=name+email") || !p.FormPost() {
		t.Fatalf("%s, %v", address, err)
	}
	back := s.Authorize(address)
	id, err := p.Redeem(t.Context(), request, provider.Response{Code: back.Get("code")})
	if err != nil || !checked || !id.EmailVerified {
		t.Errorf("%+v, %v, secret checked: %v", id, err, checked)
	}
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	g := providertest.NewGitHub(t)
	p := client(t, provider.Config{Kind: provider.GitHub, Endpoint: g.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret})
	get := func() (provider.Identity, error) {
		address, err := p.AuthorizationURL(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		back, err := g.Authorize(address)
		if err != nil {
			t.Fatal(err)
		}
		return p.Redeem(t.Context(), request, provider.Response{Code: back.Get("code")})
	}
	if id, err := get(); err != nil || id.Subject != "583231" || id.Email != "octo@example.test" || !id.EmailVerified || id.Name != "Octo Cat" {
		t.Errorf("%+v, %v", id, err)
	}
	g.Emails, g.Name = []providertest.GitHubEmail{{Email: "octo@example.test", Primary: true}, {Email: "x@example.test", Verified: true}}, ""
	if id, err := get(); err != nil || id.Email != "octo@example.test" || id.EmailVerified || id.Name != "octocat" {
		t.Errorf("an unverified primary address: %+v, %v", id, err)
	}
	g.Emails = nil
	if id, err := get(); err != nil || id.Email != "" || id.EmailVerified {
		t.Errorf("no address: %+v, %v", id, err)
	}
	g.ID = 0
	if _, err := get(); reasonOf(err) != provider.Claims {
		t.Errorf("no id: %v", err)
	}
	if _, err := p.Redeem(t.Context(), request, provider.Response{Code: "made-up"}); reasonOf(err) != provider.Code {
		t.Errorf("a code that is none: %v", err)
	}
	if _, err := p.VerifyIDToken(t.Context(), "x", ""); reasonOf(err) != provider.NoToken {
		t.Errorf("an ID token: %v", err)
	}
}

// TestIDTokensOfApps: an app's token is for one of the audiences.
func TestIDTokensOfApps(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	cfg := configOf(s)
	cfg.Audiences = []string{"ios-app"}
	p := client(t, cfg)
	for name, tt := range map[string]struct {
		claims map[string]any
		nonce  string
		want   provider.Reason
	}{
		"for the service":            {map[string]any{}, "", ""},
		"for an app":                 {map[string]any{"aud": "ios-app"}, "", ""},
		"for the service, by an app": {map[string]any{"azp": "ios-app"}, "", ""},
		"for another app":            {map[string]any{"aud": "android-app"}, "", provider.Audience},
		"by another app":             {map[string]any{"azp": "android-app"}, "", provider.Audience},
		"with the nonce":             {map[string]any{"nonce": "n"}, "n", ""},
		"with another nonce":         {map[string]any{"nonce": "m"}, "n", provider.Nonce},
		"without the nonce":          {map[string]any{}, "n", provider.Nonce},
		"too old":                    {map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, "", provider.Expired},
	} {
		id, err := p.VerifyIDToken(t.Context(), s.IDToken(tt.claims), tt.nonce)
		if reasonOf(err) != tt.want || (err == nil) != (id.Subject == "ada-at-provider") {
			t.Errorf("%s: %+v, %v, want %q", name, id, err, tt.want)
		}
	}
	// What browsers get is for the service alone.
	s.Claims = func(c map[string]any) { c["aud"] = "ios-app" }
	if _, err := walk(t, p, s, request); reasonOf(err) != provider.Audience {
		t.Errorf("an app's token in a browser: %v", err)
	}
}
