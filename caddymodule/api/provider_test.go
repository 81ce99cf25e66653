package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/providertest"
)

func openID(id string, s *providertest.Server) provider.Config {
	return provider.Config{Kind: provider.OpenID, ID: id, Name: "Company " + id, Issuer: s.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret}
}

// federated is a site that offers providers.
func federated(t testing.TB, change func(*authcore.Config, *authcore.Deps), providers ...provider.Config) *site {
	t.Helper()
	var closed, invited bool
	return newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, d *authcore.Deps) {
		c.Providers = providers
		change(c, d)
		closed, invited = c.RegistrationClosed, c.InvitationRequired
	}, func(c *api.Config, _ *api.Deps) { c.RegistrationClosed, c.InvitationRequired = closed, invited })
}

func asIs(*authcore.Config, *authcore.Deps) {}

// browser keeps cookies as a browser does, but for their domains and times.
type browser struct {
	*site
	cookies map[string]*http.Cookie
}

func (s *site) browser() *browser { return &browser{s, make(map[string]*http.Cookie)} }

// send is a request of the browser. One that another site caused brings no cookie
// that is not SameSite=None.
func (b *browser) do(method, path, content string, crossSite bool, headers ...header) answer {
	b.Helper()
	var sent []string
	for _, c := range b.cookies {
		if !crossSite || c.SameSite == http.SameSiteNoneMode {
			sent = append(sent, c.Name+"="+c.Value)
		}
	}
	if len(sent) > 0 {
		headers = append(headers, with("Cookie", strings.Join(sent, "; ")))
	}
	var body any
	if content != "" {
		body = content
		headers = append(headers, asForm)
	}
	a := b.site.send(method, path, body, headers...)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return a
}

func (b *browser) get(path string) answer { b.Helper(); return b.do("GET", path, "", false) }

func (b *browser) post(path string, form url.Values) answer {
	b.Helper()
	return b.do("POST", path, form.Encode(), false, with("Origin", base), with("Sec-Fetch-Site", "same-origin"))
}

// leave begins a sign-in and returns where the browser is sent.
func (b *browser) leave(id, target string) string {
	b.Helper()
	path := "/api/auth/sign-in/social/" + id
	if target != "" {
		path += "?callbackURL=" + url.QueryEscape(target)
	}
	return b.get(path).status(303).header.Get("Location")
}

// back comes back from a provider.
func (b *browser) back(id string, with url.Values) answer {
	b.Helper()
	return b.get("/api/auth/callback/" + id + "?" + with.Encode())
}

// who is signed in, empty for nobody.
func (b *browser) who() string {
	b.Helper()
	a := b.get("/api/auth/get-session").status(200)
	if a.body == "null" {
		return ""
	}
	user, _ := a.object()["user"].(map[string]any)
	email, _ := user["email"].(string)
	return email
}

// refusals are the reasons of the events, the newest first.
func (s *site) refusals() (reasons []string) {
	s.Helper()
	list, err := s.auth.Events(s.Context(), principal.Operator{Name: "test"}, audit.Query{Type: "provider_refused"})
	if err != nil {
		s.Fatal(err)
	}
	reason := regexp.MustCompile(`"reason": ?"([a-z_]+)"`)
	for _, e := range list {
		if m := reason.FindSubmatch(e.Metadata); m != nil {
			reasons = append(reasons, string(m[1]))
		}
	}
	return reasons
}

func (s *site) scalar(sql string, args ...any) string {
	s.Helper()
	r, err := dbscope.Row[struct{ V string }](s.Context(), s.db.Pool, dbscope.System(), `SELECT (`+sql+`)::text AS v`, args...)
	if err != nil {
		s.Fatal(err)
	}
	return r.V
}

// TestProviderWalk: somebody new comes by a provider, on the way to our own OpenID
// provider, looks at what is connected, connects another one, signs out and in by
// it, disconnects, and takes their data along.
func TestProviderWalk(t *testing.T) {
	t.Parallel()
	google, work := providertest.New(t), providertest.New(t)
	work.User = providertest.User{Subject: "staff-7", Email: "ada@work.test", Verified: true}
	s := federated(t, asIs, openID("first", google), openID("second", work))
	b := s.browser()

	authorize := "/api/auth/oauth2/authorize?client_id=x&redirect_uri=https%3A%2F%2Fapp.test%2Fcb&response_type=code&scope=openid&state=1"
	page := b.get("/login?returnUrl=" + url.QueryEscape(authorize)).status(200).body
	first, second := strings.Index(page, "Continue with Company first"), strings.Index(page, "Continue with Company second")
	if first < 0 || second < first {
		t.Fatalf("buttons at %d and %d: %s", first, second, page)
	}
	href := regexp.MustCompile(`href="(/api/auth/sign-in/social/first[^"]*)"`).FindStringSubmatch(page)
	if href == nil {
		t.Fatal(page)
	}
	to := b.get(strings.ReplaceAll(href[1], "&amp;", "&")).status(303)
	for _, c := range b.cookies {
		if c.Name == "__Host-mana.provider" && (!c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600) {
			t.Errorf("cookie %v", c)
		}
	}
	done := b.back("first", google.Authorize(to.header.Get("Location"))).status(303)
	if got := done.header.Get("Location"); got != base+authorize {
		t.Errorf("leads to %q", got)
	}
	if b.who() != "ada@example.test" {
		t.Fatalf("signed in as %q", b.who())
	}
	id := s.scalar(`SELECT id FROM auth.users WHERE email = 'ada@example.test' AND email_verified AND name = 'Ada'`)
	if n := s.scalar(`SELECT count(*) FROM auth.accounts WHERE user_id = $1`, id); n != "1" {
		t.Errorf("%s accounts: there is no password", n)
	}
	if s.scalar(`SELECT count(*) FROM credits.balances WHERE user_id = $1`, id) != "1" {
		t.Error("no balance")
	}
	if tokens := s.scalar(`SELECT access_token || refresh_token || id_token FROM auth.accounts WHERE user_id = $1`, id); strings.Contains(tokens, "token-of-the-provider") || strings.Contains(tokens, "eyJ") {
		t.Errorf("tokens at rest: %s", tokens)
	}

	if page := b.get("/account/sign-ins").status(200).body; !strings.Contains(page, "Company first") || !strings.Contains(page, "ada@example.test") {
		t.Errorf("connected sign-ins: %s", page)
	}
	leaving := b.post("/account/sign-ins", url.Values{"action": {"link"}, "provider": {"second"}}).status(200)
	refresh := strings.TrimPrefix(leaving.header.Get("Refresh"), "0;url=")
	if !strings.HasPrefix(refresh, work.URL+"/authorize?") || strings.Contains(leaving.header.Get("Content-Security-Policy"), work.URL) {
		t.Fatalf("leaves for %q", refresh)
	}
	if got := b.back("second", work.Authorize(refresh)).status(303).header.Get("Location"); got != "/account/sign-ins?done=linked" {
		t.Errorf("after linking: %s", got)
	}
	b.post("/account", url.Values{"action": {"sign-out"}})
	if b.who() != "" {
		t.Fatal("signed in after signing out")
	}
	b.back("second", work.Authorize(b.leave("second", app+"/inbox"))).status(303)
	if b.who() != "ada@example.test" {
		t.Errorf("by the second one: %q", b.who())
	}
	access := b.do("POST", "/api/v1/auth/session-to-token", "", false, with("Origin", app)).status(200).text("accessToken")
	list := s.send("GET", "/api/v1/auth/accounts", nil, bearer(access)).status(200).body
	if strings.Count(list, `"provider"`) != 2 || !strings.Contains(list, `"accountId":"staff-7"`) || !strings.Contains(list, `"email":"ada@work.test"`) {
		t.Errorf("accounts: %s", list)
	}
	export := s.send("GET", "/api/v1/me/data/export", nil, bearer(access)).status(200).body
	if !strings.Contains(export, `"linkedAccounts"`) || !strings.Contains(export, "staff-7") || strings.Contains(export, "token-of-the-provider") {
		t.Errorf("export: %s", export)
	}
	events := b.get("/account/events").status(200).body
	for _, want := range []string{"You signed in with: second", "An account was connected, of: second"} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the log: %s", want, events)
		}
	}
	for _, provider := range []string{"first", "second"} {
		row := s.scalar(`SELECT id FROM auth.accounts WHERE user_id = $1 AND provider_id = $2`, id, provider)
		got := s.send("DELETE", "/api/v1/auth/accounts/"+row, nil, bearer(access))
		if provider == "first" {
			got.status(200)
		} else if got.status(409); got.text("code") != "LAST_CREDENTIAL" {
			t.Errorf("the last one: %s", got.body)
		}
	}
	s.send("DELETE", "/api/v1/auth/accounts/none", nil, bearer(access)).status(404)
	s.send("DELETE", "/api/v1/auth/account", map[string]any{"password": "-"}, bearer(access)).status(404) // there is none
	if page := b.post("/account/data", url.Values{"confirm": {"ada@example.test"}}); page.code >= 400 {
		t.Fatalf("delete: %d %s", page.code, page.body)
	}
	if n := s.scalar(`SELECT count(*) FROM auth.accounts`); n != "0" {
		t.Errorf("%s accounts after the end", n)
	}
}

// TestProviderAnswersThatAreNone: nobody is signed in, the log says why, and a page
// leads back.
func TestProviderAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	honest, other, away := providertest.New(t), providertest.New(t), providertest.New(t)
	s := federated(t, asIs, openID("honest", honest), openID("other", other), openID("away", away))
	victim, attacker := s.browser(), s.browser()
	for _, tt := range []struct {
		name, reason string
		status       int
		back         func() answer
	}{
		{"a state that is none", "state", 401, func() answer {
			return victim.back("honest", url.Values{"code": {"x"}, "state": {strings.Repeat("s", 43)}})
		}},
		{"no state", "state", 401, func() answer { return victim.back("honest", url.Values{"code": {"x"}}) }},
		{"100 kB of state", "state", 401, func() answer {
			return victim.back("honest", url.Values{"code": {"x"}, "state": {strings.Repeat("s", 100_000)}})
		}},
		{"a state that was used", "state", 401, func() answer {
			victim.back("honest", url.Values{"error": {"access_denied"}, "state": {"x"}})
			back := honest.Authorize(victim.leave("honest", ""))
			fresh := s.browser()
			fresh.cookies = victim.cookies
			fresh.back("honest", back).status(303)
			delete(victim.cookies, cookieName)
			return victim.back("honest", back)
		}},
		{"the state of another browser", "state", 401, func() answer {
			return victim.back("honest", honest.Authorize(attacker.leave("honest", "")))
		}},
		{"mix-up: the answer to a request to another provider", "mix_up", 401, func() answer {
			address := victim.leave("other", "")
			// The attacker's provider sends the browser on to the honest one, with our state.
			u, _ := url.Parse(address)
			return victim.back("honest", honest.Authorize(honest.URL+"/authorize?"+u.RawQuery))
		}},
		{"mix-up: the issuer of another provider", "issuer", 401, func() answer {
			back := honest.Authorize(victim.leave("honest", ""))
			back.Set("iss", other.URL)
			return victim.back("honest", back)
		}},
		{"code injection: a code of the attacker's", "code", 401, func() answer {
			stolen := honest.Authorize(attacker.leave("honest", "")).Get("code")
			back := honest.Authorize(victim.leave("honest", ""))
			back.Set("code", stolen)
			return victim.back("honest", back)
		}},
		{"code injection at a provider without PKCE", "nonce", 401, func() answer {
			honest.NoPKCE = true
			defer func() { honest.NoPKCE = false }()
			stolen := honest.Authorize(attacker.leave("honest", "")).Get("code")
			back := honest.Authorize(victim.leave("honest", ""))
			back.Set("code", stolen)
			return victim.back("honest", back)
		}},
		{"the user says no", "denied", 401, func() answer {
			back := honest.Authorize(victim.leave("honest", app+"/inbox"))
			back.Del("code")
			back.Set("error", "access_denied")
			return victim.back("honest", back)
		}},
		{"a token that nobody signed", "id_token", 401, func() answer {
			honest.Sign = providertest.Unsigned
			defer func() { honest.Sign = nil }()
			return victim.back("honest", honest.Authorize(victim.leave("honest", "")))
		}},
		{"a provider that fails", "unavailable", 503, func() answer {
			honest.TokenEndpoint = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
			defer func() { honest.TokenEndpoint = nil }()
			return victim.back("honest", honest.Authorize(victim.leave("honest", "")))
		}},
	} {
		got := tt.back()
		got.status(tt.status)
		if !strings.Contains(got.body, `role="alert"`) || !strings.Contains(got.body, "Go back") || !strings.Contains(got.body, `href="/login`) {
			t.Errorf("%s: the page: %s", tt.name, got.body)
		}
		if victim.who() != "" || got.session() != nil {
			t.Errorf("%s: signed in", tt.name)
		}
		if reasons := s.refusals(); len(reasons) == 0 || reasons[0] != tt.reason {
			t.Errorf("%s: reasons %v, want %s", tt.name, reasons, tt.reason)
		}
	}
	// The way back keeps where the user wanted to go.
	back := honest.Authorize(victim.leave("honest", app+"/inbox"))
	back.Del("code")
	back.Set("error", "access_denied")
	if page := victim.back("honest", back).body; !strings.Contains(page, url.QueryEscape(app+"/inbox")) {
		t.Errorf("the target is lost: %s", page)
	}
	// A provider that is away, and was never asked before, is a page, and breaks nobody else's sign-in.
	away.Close()
	if page := victim.get("/api/auth/sign-in/social/away").status(503); !strings.Contains(page.body, "Try again") || page.header.Get("Retry-After") == "" {
		t.Errorf("away: %s", page.body)
	}
	victim.get("/api/auth/sign-in/social/none").status(404)
	victim.back("honest", honest.Authorize(victim.leave("honest", foreign+"/x"))).status(303)
	if victim.who() == "" {
		t.Error("nobody signs in beside a provider that is away")
	}
}

// TestProviderTargets: where a sign-in leads is checked when it begins.
func TestProviderTargets(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	s := federated(t, asIs, openID("acme", p))
	b := s.browser()
	for target, want := range map[string]string{
		app + "/inbox?x=1": app + "/inbox?x=1", "/account/credits": base + "/account/credits",
		foreign: "/account", "javascript:alert(1)": "/account", "//evil.test": "/account", "": "/account",
	} {
		if got := b.back("acme", p.Authorize(b.leave("acme", target))).status(303).header.Get("Location"); got != want {
			t.Errorf("%q leads to %q", target, got)
		}
	}
	s.send("POST", "/api/auth/sign-in/social", map[string]any{"provider": "acme", "callbackURL": foreign}, with("Origin", app)).status(403)
	s.send("POST", "/api/auth/sign-in/social", map[string]any{"provider": "acme"}, with("Origin", foreign)).status(403)
	s.send("POST", "/api/auth/sign-in/social", map[string]any{"provider": "none"}, with("Origin", app)).status(404)
	s.send("POST", "/api/auth/sign-in/social", map[string]any{}, with("Origin", app)).status(400)
	got := s.send("POST", "/api/auth/sign-in/social", map[string]any{"provider": "acme", "callbackURL": app}, with("Origin", app)).status(200)
	if got.object()["redirect"] != true || !strings.HasPrefix(got.text("url"), p.URL+"/authorize?") || !strings.Contains(got.header.Get("Set-Cookie"), "__Host-mana.provider=") {
		t.Errorf("%s %v", got.body, got.header)
	}
	s.send("POST", "/api/auth/link-social", map[string]any{"provider": "acme"}, with("Origin", app)).status(401)
}

// TestAppleForm: Apple sends the browser back by a form of its own site, with which
// only the cookie made for that comes along.
func TestAppleForm(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	apple := providertest.New(t)
	apple.User = providertest.User{Subject: "001.apple", Email: "relay@privaterelay.test", Verified: "true"}
	apple.Secret = func(r *http.Request) bool {
		secret, err := jose.ParseSignedCompact(r.PostFormValue("client_secret"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return false
		}
		_, err = secret.Verify(key.Public())
		return err == nil
	}
	s := federated(t, asIs, provider.Config{Kind: provider.Apple, Issuer: apple.URL, ClientID: providertest.ClientID, TeamID: "T", KeyID: "K",
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	b := s.browser()
	back := apple.Authorize(b.leave("apple", app))
	if c := b.cookies["__Host-mana.provider_post"]; c == nil || c.SameSite != http.SameSiteNoneMode || !c.Secure || !c.HttpOnly {
		t.Fatalf("cookies %v", b.cookies)
	}
	back.Set("user", `{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"other@evil.test"}`)
	got := b.do("POST", "/api/auth/callback/apple", back.Encode(), true, with("Origin", "https://appleid.apple.com"), with("Sec-Fetch-Site", "cross-site"))
	if got.status(303).header.Get("Location") != app+"/" {
		t.Errorf("leads to %s", got.header.Get("Location"))
	}
	if b.who() != "relay@privaterelay.test" || s.scalar(`SELECT name FROM auth.users`) != "Ada Lovelace" {
		t.Errorf("%q", b.who())
	}
	// A foreign site's form with a state of its own signs nobody in.
	evil := s.browser()
	evil.do("POST", "/api/auth/callback/apple", apple.Authorize(s.browser().leave("apple", "")).Encode(), true, with("Origin", foreign)).status(401)
}

func TestAddressForWhoHasNone(t *testing.T) {
	t.Parallel()
	g := providertest.NewGitHub(t)
	g.Emails = nil
	s := federated(t, asIs, provider.Config{Kind: provider.GitHub, Endpoint: g.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret})
	s.register("taken@example.test")
	b := s.browser()
	ask := func(b *browser) string {
		t.Helper()
		back, err := g.Authorize(b.leave("github", app+"/inbox"))
		if err != nil {
			t.Fatal(err)
		}
		page := b.back("github", back).status(200).body
		token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
		if token == nil || !strings.Contains(page, "GitHub") {
			t.Fatal(page)
		}
		return token[1]
	}
	token := ask(b)
	b.post("/login/address", url.Values{"token": {token}, "email": {"no address"}}).status(400)
	s.browser().post("/login/address", url.Values{"token": {token}, "email": {"octo@example.test"}}).status(401) // another browser
	b.do("POST", "/login/address", url.Values{"token": {token}, "email": {"octo@example.test"}}.Encode(), false, with("Origin", foreign)).status(403)
	if got := b.post("/login/address", url.Values{"token": {token}, "email": {"octo@example.test"}}).status(303).header.Get("Location"); got != app+"/inbox" {
		t.Errorf("leads to %s", got)
	}
	if b.who() != "octo@example.test" || s.scalar(`SELECT email_verified FROM auth.users WHERE email = 'octo@example.test'`) != "false" {
		t.Errorf("signed in as %q", b.who())
	}
	if tokens := s.scalar(`SELECT access_token FROM auth.accounts WHERE provider_id = 'github'`); strings.Contains(tokens, "gho_") {
		t.Errorf("in clear: %s", tokens)
	}
	b.post("/login/address", url.Values{"token": {token}, "email": {"again@example.test"}}).status(401)
	// From now on the account is known without one.
	again := s.browser()
	back, err := g.Authorize(again.leave("github", ""))
	if err != nil {
		t.Fatal(err)
	}
	if again.back("github", back).status(303); again.who() != "octo@example.test" {
		t.Errorf("known again as %q", again.who())
	}
	g.ID++
	stranger := s.browser()
	page := stranger.post("/login/address", url.Values{"token": {ask(stranger)}, "email": {"taken@example.test"}}).status(409)
	if !strings.Contains(page.body, "Connected sign-ins") || stranger.who() != "" {
		t.Errorf("an address that is taken: %s", page.body)
	}
}

// TestIDTokenSignIn is for mobile apps.
func TestIDTokenSignIn(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	s := federated(t, asIs, provider.Config{Kind: provider.Google, Issuer: p.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret, Audiences: []string{"ios-app"}})
	const at = "/api/v1/auth/google-signin"
	device := map[string]any{"deviceId": "phone", "deviceName": "Ada's phone", "deviceType": "ios"}
	got := s.send("POST", at, map[string]any{"token": p.IDToken(map[string]any{"aud": "ios-app"}), "deviceInfo": device}).status(200)
	if got.text("appToken") != got.text("accessToken") || got.text("email") != "ada@example.test" || got.text("refreshToken") == "" {
		t.Errorf("%s", got.body)
	}
	claims, err := s.auth.Verify(t.Context(), got.text("appToken"))
	if err != nil || claims.Methods != "fed" {
		t.Errorf("%+v, %v", claims, err)
	}
	if s.scalar(`SELECT device_name FROM auth.sessions WHERE device_id = 'phone'`) != "Ada's phone" {
		t.Error("the device is lost")
	}
	for name, token := range map[string]string{
		"for another app": p.IDToken(map[string]any{"aud": "evil-app"}), "unsigned": providertest.Unsigned(map[string]any{"sub": "x"}), "none": "x",
	} {
		if got := s.send("POST", at, map[string]any{"token": token}).status(401); got.text("code") != "PROVIDER_FAILED" || strings.Contains(strings.ToLower(got.text("message")), "invalid token") {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	s.send("POST", at, map[string]any{}).status(400)
	s.send("POST", at, map[string]any{"token": "x", "deviceInfo": map[string]any{"deviceId": 7}}).status(401)
	if got := s.send("POST", "/api/v1/auth/apple-signin", map[string]any{"token": "x"}).status(404); got.text("code") != "PROVIDER_NOT_FOUND" {
		t.Error(got.body)
	}
	p.User = providertest.User{Subject: "no-address"}
	if got := s.send("POST", at, map[string]any{"token": p.IDToken(nil)}).status(409); got.text("code") != "EMAIL_REQUIRED" {
		t.Error(got.body)
	}
}

// TestOnlyProviders: where one is the only way in, passwords are hidden and refused.
func TestOnlyProviders(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	cfg := openID("acme", p)
	cfg.Only = true
	s := federated(t, asIs, cfg)
	for _, path := range []string{"/login", "/register"} {
		if page := s.send("GET", path, nil).status(200).body; strings.Contains(page, `type="password"`) || !strings.Contains(page, "Continue with Company acme") || strings.Contains(page, "/forgot-password") {
			t.Errorf("%s: %s", path, page)
		}
	}
	body := map[string]any{"email": "ada@example.test", "password": testPassword}
	for _, request := range []struct {
		path string
		body map[string]any
	}{
		{"/api/v1/auth/login", body}, {"/api/v1/auth/register", body}, {"/api/auth/sign-in/email", body},
		{"/api/v1/auth/forgot-password", map[string]any{"email": "ada@example.test"}},
		{"/api/v1/auth/reset-password", map[string]any{"token": "x", "newPassword": testPassword}},
		{"/api/v1/auth/login/code", map[string]any{"email": "ada@example.test", "code": "12345678"}},
		{"/api/v1/auth/register/b2b", map[string]any{"ownerEmail": "ada@example.test", "password": testPassword, "ownerName": "Ada", "organizationName": "Tea"}},
	} {
		if got := s.send("POST", request.path, request.body, with("Origin", app)).status(403); got.text("code") != "PASSWORDS_OFF" {
			t.Errorf("%s: %s", request.path, got.body)
		}
	}
	b := s.browser()
	if page := b.post("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(403).body; !strings.Contains(page, "Use one of the providers") {
		t.Error(page)
	}
	if b.back("acme", p.Authorize(b.leave("acme", ""))).status(303); b.who() != "ada@example.test" {
		t.Error("the provider lets nobody in")
	}
}

// TestReauthenticateByProvider: who has nothing else shows once more who they are
// where they came from.
func TestReauthenticateByProvider(t *testing.T) {
	t.Parallel()
	p := providertest.New(t)
	s := federated(t, asIs, openID("acme", p))
	b := s.browser()
	b.back("acme", p.Authorize(b.leave("acme", ""))).status(303)
	s.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	b.post("/account/sign-ins", url.Values{"action": {"link"}, "provider": {"acme"}}).status(303)
	if page := b.get("/reauthenticate?returnUrl=/account/sign-ins").status(200).body; !strings.Contains(page, "Continue with Company acme") {
		t.Fatal(page)
	}
	leave := func() string {
		t.Helper()
		return strings.TrimPrefix(b.post("/reauthenticate", url.Values{"provider": {"acme"}, "returnUrl": {"/account/sign-ins"}}).status(200).header.Get("Refresh"), "0;url=")
	}
	to := leave()
	if !strings.Contains(to, "prompt=login") {
		t.Errorf("asks %s", to)
	}
	ada := p.User
	p.User = providertest.User{Subject: "eve", Email: "eve@example.test", Verified: true}
	b.back("acme", p.Authorize(to)).status(403)
	if s.refusals()[0] != "not_linked" {
		t.Error(s.refusals())
	}
	p.User = ada
	if got := b.back("acme", p.Authorize(leave())).status(303).header.Get("Location"); got != base+"/account/sign-ins" {
		t.Errorf("leads to %s", got)
	}
	if s.scalar(`SELECT bool_and(authenticated_at > now() - interval '1 minute') FROM auth.sessions WHERE revoked_at IS NULL`) != "true" {
		t.Error("the session is not recent")
	}
	b.post("/account/sign-ins", url.Values{"action": {"link"}, "provider": {"acme"}}).status(200)
}
