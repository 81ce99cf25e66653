package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/publicnet"
)

const (
	appSecret   = "a-secret-of-32-characters-or-more"
	appCallback = "https://app.partner.test/callback"
	verifier    = "a-verifier-of-forty-three-characters-or-more"
)

// challengeOf is the S256 challenge of a verifier (RFC 7636, section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func openIDClients() []openid.Client {
	return []openid.Client{
		{ID: openid.SynapseID, Name: "Matrix Chat", SecretDigest: openid.DigestOf(appSecret), Trusted: true, RedirectURIs: []string{"https://matrix.example.test/_synapse/client/oidc/callback"}},
		{
			ID: "partner", Name: "Partner <b>App</b>", SecretDigest: openid.DigestOf(appSecret), RedirectURIs: []string{appCallback},
			PostLogoutRedirectURIs: []string{"https://app.partner.test/bye"},
			GrantTypes:             []string{openid.GrantCode, openid.GrantRefresh, openid.GrantCredentials},
			Scopes:                 append(openid.Scopes(), "reports:read"),
		},
		{ID: "rsa", SecretDigest: openid.DigestOf(appSecret), Trusted: true, RedirectURIs: []string{appCallback}, Algorithm: token.RS256, AccessTokenFormat: openid.JWT, Audience: "https://api.partner.test"},
		{ID: "phone", Name: "Phone", Public: true, RedirectURIs: []string{"com.example.phone:/callback", "http://127.0.0.1/callback"}},
		{ID: "tv", Name: "Telly", Public: true, GrantTypes: []string{openid.GrantDevice, openid.GrantRefresh}},
	}
}

// logouts keeps what clients would be told.
type logouts struct {
	mu   sync.Mutex
	list []openid.Logout
}

func (q *logouts) PutLogoutTx(_ context.Context, _ pgx.Tx, l openid.Logout) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, l)
	return nil
}
func (*logouts) Wake() {}

func (q *logouts) of(client string) (found int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.list {
		if l.ClientID == client {
			found++
		}
	}
	return found
}

// newProvider is a site that is an OpenID provider.
func newProvider(t testing.TB, change ...func(*authcore.Config, *authcore.Deps)) *site {
	t.Helper()
	return newSiteOf(t, billing.Config{BaseURL: base}, func(cfg *authcore.Config, deps *authcore.Deps) {
		cfg.OpenIDClients = openIDClients()
		for _, f := range change {
			f(cfg, deps)
		}
	})
}

// authorizeQuery is the query of an authorization request.
func authorizeQuery(client, redirect string, more ...string) url.Values {
	q := url.Values{
		"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid profile email"}, "state": {"a state"}, "nonce": {"a nonce"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] == "" {
			q.Del(more[i])
		} else {
			q.Set(more[i], more[i+1])
		}
	}
	return q
}

func authorizePath(q url.Values) string { return "/api/auth/oauth2/authorize?" + q.Encode() }

// location is where an answer leads.
func (a answer) location() *url.URL {
	a.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" {
		a.Fatalf("leads nowhere (%v): %d %s", err, a.code, a.body)
	}
	return u
}

// signIn signs a browser in and returns its cookie.
func (s *site) signIn(email string) header {
	s.Helper()
	a := s.send("POST", "/api/auth/sign-in/email", map[string]any{"email": email, "password": testPassword}).status(200)
	return with("Cookie", cookieName+"="+a.session().Value)
}

func (s *site) userOf(email string) authcore.User {
	s.Helper()
	u, err := s.auth.UserByIDOrEmail(s.Context(), principal.Operator{Name: "test"}, email)
	if err != nil {
		s.Fatal(err)
	}
	return u
}

func basic(id, secret string) header {
	return with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret))))
}

// exchange sends a request to the token endpoint.
func (s *site) exchange(form url.Values, headers ...header) answer {
	s.Helper()
	return s.send("POST", "/api/auth/oauth2/token", form.Encode(), append(headers, asForm)...)
}

// codeFor goes through the authorization of a trusted client.
func (s *site) codeFor(cookie header, q url.Values) string {
	s.Helper()
	to := s.send("GET", authorizePath(q), nil, cookie).status(302).location()
	code := to.Query().Get("code")
	if code == "" {
		s.Fatalf("no code in %s", to)
	}
	return code
}

func codeForm(code, redirect string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}}
}

func claimsOf(t testing.TB, jws string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWS", jws)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// Synapse's own parameters and what it reads (contract, section 6).
func TestSynapseSignsIn(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.send("POST", "/api/v1/auth/register", map[string]any{"email": "Ada.Lovelace@example.test", "password": testPassword, "name": "Ada King Lovelace"}).status(201)
	u := s.userOf("ada.lovelace@example.test")
	if _, err := s.auth.VerifyEmail(t.Context(), principal.Operator{Name: "test"}, u.ID); err != nil {
		t.Fatal(err)
	}
	const callback = "https://matrix.example.test/_synapse/client/oidc/callback"
	q := authorizeQuery(openid.SynapseID, callback)

	away := s.send("GET", authorizePath(q), nil).status(302).location()
	if away.Path != "/login" || away.Query().Encode() != q.Encode() {
		t.Fatalf("led to %s", away)
	}
	page := s.send("GET", away.String(), nil).status(200)
	if !strings.Contains(page.body, "Matrix Chat") {
		t.Error("the page does not say which app asks")
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://matrix.example.test;") {
		t.Errorf("the form may not lead back: %s", policy)
	}
	returnURL := regexp.MustCompile(`name="returnUrl" value="([^"]*)"`).FindStringSubmatch(page.body)[1]
	form := url.Values{"email": {"ada.lovelace@example.test"}, "password": {testPassword}, "returnUrl": {html.UnescapeString(returnURL)}}
	in := s.send("POST", "/login", form.Encode(), asForm, with("Origin", base)).status(303)
	cookie := with("Cookie", cookieName+"="+in.session().Value)
	back := s.send("GET", in.location().String(), nil, cookie).status(302).location()
	if got := back.Query(); !strings.HasPrefix(back.String(), callback+"?") || got.Get("state") != "a state" || got.Get("iss") != base ||
		!regexp.MustCompile(`^[0-9A-Za-z]{32}$`).MatchString(got.Get("code")) {
		t.Fatalf("led back to %s", back)
	}

	given := s.exchange(codeForm(back.Query().Get("code"), callback), basic(openid.SynapseID, appSecret)).status(200)
	if given.header.Get("Cache-Control") != "no-store" || given.header.Get("Pragma") != "no-cache" {
		t.Errorf("headers %v", given.header)
	}
	got := given.object()
	if got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || !regexp.MustCompile(`^[A-Za-z]{32}$`).MatchString(given.text("access_token")) || got["scope"] != "openid profile email" || got["refresh_token"] == nil {
		t.Errorf("%s", given.body)
	}
	head, claims := claimsOf(t, given.text("id_token"))
	for name, want := range map[string]any{
		"iss": base, "aud": openid.SynapseID, "azp": openid.SynapseID, "sub": u.ID, "nonce": "a nonce", "email": "ada.lovelace@example.test", "email_verified": true,
		"name": "Ada King Lovelace", "given_name": "Ada King", "family_name": "Lovelace", "acr": "urn:mace:incommon:iap:bronze",
	} {
		if claims[name] != want {
			t.Errorf("id_token %s is %v, want %v", name, claims[name], want)
		}
	}
	if head["alg"] != "EdDSA" || head["kid"] == nil || claims["exp"].(float64)-claims["iat"].(float64) != 3600 || claims["sid"] == "" || claims["auth_time"] == nil || claims["at_hash"] == nil {
		t.Errorf("id_token %v %v", head, claims)
	}

	info := s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))).status(200)
	if got := info.object(); got["sub"] != u.ID || got["email"] != "ada.lovelace@example.test" || got["email_verified"] != true || got["name"] != u.Name {
		t.Errorf("userinfo %s", info.body)
	}
	s.send("GET", "/api/oidc/userinfo", nil, bearer(given.text("access_token"))).status(200)
	linked := s.send("GET", "/api/v1/api/v1/auth/matrix-user-links/@ada.lovelace:matrix.example.test", nil, asService)
	if owner, err := s.auth.MatrixUser(t.Context(), "@ada.lovelace:matrix.example.test"); err != nil || owner.ID != u.ID {
		t.Errorf("the Matrix id is not linked: %v (%d)", err, linked.code)
	}
	// The token of a client is no token of the user's, and its refresh token none of an app's.
	s.send("GET", "/api/v1/auth/session", nil, bearer(given.text("access_token"))).status(401)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": given.text("refresh_token")}).status(401)
	s.send("GET", "/api/v1/auth/session", nil, bearer(given.text("id_token"))).status(401)
}

func TestDiscoveryIsWhatIsServed(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	doc := s.send("GET", "/.well-known/openid-configuration", nil, with("Origin", "https://anywhere.test")).status(200)
	if doc.header.Get("Access-Control-Allow-Origin") != "*" || doc.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("other origins read it as %v", doc.header)
	}
	same := s.send("GET", "/.well-known/oauth-authorization-server", nil).status(200)
	if same.body != doc.body {
		t.Error("the two documents differ")
	}
	got := doc.object()
	for name, want := range map[string]string{
		"issuer": base, "authorization_endpoint": base + "/api/auth/oauth2/authorize", "token_endpoint": base + "/api/auth/oauth2/token",
		"userinfo_endpoint": base + "/api/auth/oauth2/userinfo", "end_session_endpoint": base + "/api/auth/oauth2/endsession",
		"introspection_endpoint": base + "/api/auth/oauth2/introspect", "revocation_endpoint": base + "/api/auth/oauth2/revoke",
		"device_authorization_endpoint": base + "/api/auth/oauth2/device_authorization", "jwks_uri": base + "/api/auth/jwks",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	for name, want := range map[string][]any{
		"response_types_supported": {"code"}, "response_modes_supported": {"query"}, "subject_types_supported": {"public"}, "code_challenge_methods_supported": {"S256"},
		"id_token_signing_alg_values_supported": {"EdDSA", "RS256"}, "scopes_supported": {"openid", "profile", "email", "offline_access"},
	} {
		if list, _ := got[name].([]any); !slices.Equal(list, want) {
			t.Errorf("%s is %v, want %v", name, list, want)
		}
	}
	if got["registration_endpoint"] != nil || strings.Contains(doc.body, `"none"`+`]`) && strings.Contains(doc.body, "HS256") {
		t.Errorf("%s", doc.body)
	}
	var algorithms []any
	for _, k := range s.send("GET", "/api/auth/jwks", nil).status(200).object()["keys"].([]any) {
		algorithms = append(algorithms, k.(map[string]any)["alg"])
	}
	if !slices.Contains(algorithms, any("EdDSA")) || !slices.Contains(algorithms, any("RS256")) {
		t.Errorf("keys of %v", algorithms)
	}
	plain := newSite(t).send("GET", "/.well-known/openid-configuration", nil).status(200).object()
	if list := plain["id_token_signing_alg_values_supported"].([]any); !slices.Equal(list, []any{"EdDSA"}) {
		t.Errorf("where no client asks for RS256 it is offered: %v", list)
	}
}

// A request that cannot be believed leads nowhere, and one that can leads its error back.
func TestBadAuthorizationRequests(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	stay := func(name string, q url.Values) {
		t.Helper()
		a := s.send("GET", authorizePath(q), nil, cookie)
		if a.code != 400 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d to %q: %s", name, a.code, a.header.Get("Location"), a.body)
		}
	}
	for _, uri := range []string{
		"", "https://evil.test/", appCallback + "/", appCallback + "?x=1", appCallback + "#", "https://app.partner.test:443/callback", "https://APP.partner.test/callback",
		"https://app.partner.test/../callback", "https://app.partner.test/%63allback", "https://app.partner.test%2fcallback", "https://user@app.partner.test/callback",
		"http://app.partner.test/callback", "//app.partner.test/callback", "javascript:alert(1)", "https://app.partner.test\\@evil.test/callback", appCallback + " ", appCallback + "\x00",
		"https://app.partner.test.evil.test/callback", strings.Repeat("a", 100_000),
	} {
		stay(uri[:min(len(uri), 60)], authorizeQuery("partner", appCallback, "redirect_uri", uri))
	}
	refused := s.send("GET", authorizePath(authorizeQuery("partner", "https://evil.test/")), nil, cookie).status(400)
	if got := refused.object(); got["message"] != "Invalid redirect URI" || got["code"] != "INVALID_REDIRECT_URI" {
		t.Errorf("%s", refused.body)
	}
	stay("no client", authorizeQuery("", appCallback, "client_id", ""))
	stay("unknown client", authorizeQuery("nobody", appCallback))
	stay("NUL", authorizeQuery("partner\x00", appCallback))
	for name := range authorizeQuery("partner", appCallback) {
		q := authorizeQuery("partner", appCallback)
		q.Add(name, q.Get(name))
		stay("doubled "+name, q)
	}
	page := s.send("GET", authorizePath(authorizeQuery("partner", "https://evil.test/")), nil, cookie, with("Accept", "text/html")).status(400)
	if !strings.Contains(page.header.Get("Content-Type"), "text/html") {
		t.Error("somebody who navigates is shown JSON")
	}

	for _, tt := range []struct {
		client, name, value, want string
	}{
		{"partner", "response_type", "", "invalid_request"}, {"partner", "response_type", "token", "unauthorized_client"}, {"partner", "response_type", "code id_token", "unauthorized_client"},
		{"partner", "scope", "", "invalid_request"}, {"partner", "scope", "admin", "invalid_scope"}, {"partner", "response_mode", "form_post", "invalid_request"}, {"partner", "response_mode", "fragment", "invalid_request"},
		{"partner", "code_challenge_method", "plain", "invalid_request"}, {"partner", "code_challenge_method", "", "invalid_request"}, {"partner", "code_challenge", "short", "invalid_request"},
		{"partner", "prompt", "none login", "invalid_request"}, {"partner", "request", "a.b.c", "request_not_supported"}, {"partner", "request_uri", "https://evil.test/r", "request_uri_not_supported"},
		{"partner", "registration", "{}", "registration_not_supported"}, {"partner", "prompt", "none", "consent_required"}, {"partner", "id_token_hint", "a.b.c", "invalid_request"},
	} {
		to := s.send("GET", authorizePath(authorizeQuery(tt.client, appCallback, tt.name, tt.value)), nil, cookie).status(302).location()
		if got := to.Query(); to.Host != "app.partner.test" || got.Get("error") != tt.want || got.Get("state") != "a state" || got.Get("iss") != base || got.Get("code") != "" {
			t.Errorf("%s=%q led to %s, want error %s", tt.name, tt.value, to, tt.want)
		}
	}
	to := s.send("GET", authorizePath(authorizeQuery("phone", "http://127.0.0.1:1234/callback", "code_challenge", "", "code_challenge_method", "")), nil, cookie).status(302).location()
	if to.Query().Get("error") != "invalid_request" {
		t.Errorf("a public client went without PKCE: %s", to)
	}
	to = s.send("GET", authorizePath(authorizeQuery("partner", appCallback, "prompt", "none")), nil).status(302).location()
	if to.Query().Get("error") != "login_required" {
		t.Errorf("prompt=none without a session: %s", to)
	}
}

// The port of a native app is its own to choose, and nothing else is (RFC 8252, 7.3).
func TestLoopbackRedirects(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	for uri, ok := range map[string]bool{
		"http://127.0.0.1/callback": true, "http://127.0.0.1:49152/callback": true, "com.example.phone:/callback": true,
		"http://localhost:49152/callback": false, "http://[::1]:49152/callback": false, "https://127.0.0.1:49152/callback": false, "http://127.0.0.1:49152/other": false,
		"http://127.0.0.1:49152/callback?x": false, "http://127.0.0.2:49152/callback": false, "http://127.0.0.1.evil.test/callback": false, "com.example.other:/callback": false,
	} {
		if a := s.send("GET", authorizePath(authorizeQuery("phone", uri)), nil, cookie); (a.code == 302) != ok {
			t.Errorf("%s: %d %s", uri, a.code, a.body)
		}
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	fresh := func() string { return s.codeFor(cookie, authorizeQuery("rsa", appCallback)) }
	byRSA := basic("rsa", appSecret)
	for _, tt := range []struct {
		name   string
		form   url.Values
		as     []header
		status int
		want   string
	}{
		{"no grant", url.Values{}, []header{byRSA}, 400, "invalid_request"},
		{"unknown grant", url.Values{"grant_type": {"password"}, "username": {"ada@example.test"}, "password": {testPassword}}, []header{byRSA}, 400, "unsupported_grant_type"},
		{"token exchange", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}}, []header{byRSA}, 400, "unauthorized_client"},
		{"no client", codeForm(fresh(), appCallback), nil, 400, "invalid_request"},
		{"unknown client", codeForm(fresh(), appCallback), []header{basic("nobody", appSecret)}, 401, "invalid_client"},
		{"wrong secret", codeForm(fresh(), appCallback), []header{basic("rsa", "wrong")}, 401, "invalid_client"},
		{"another client's code", codeForm(fresh(), appCallback), []header{basic("partner", appSecret)}, 400, "invalid_grant"},
		{"another redirect", codeForm(fresh(), "https://app.partner.test/other"), []header{byRSA}, 400, "invalid_grant"},
		{"no redirect", codeForm(fresh(), ""), []header{byRSA}, 400, "invalid_request"},
		{"wrong verifier", url.Values{"grant_type": {"authorization_code"}, "code": {fresh()}, "redirect_uri": {appCallback}, "code_verifier": {strings.Repeat("x", 43)}}, []header{byRSA}, 400, "invalid_grant"},
		{"no verifier", url.Values{"grant_type": {"authorization_code"}, "code": {fresh()}, "redirect_uri": {appCallback}}, []header{byRSA}, 400, "invalid_grant"},
		{"no code", codeForm("", appCallback), []header{byRSA}, 400, "invalid_request"},
		{"foreign code", codeForm("0123456789abcdef0123456789abcdef", appCallback), []header{byRSA}, 400, "invalid_grant"},
		{"foreign refresh token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"mrt_x"}}, []header{byRSA}, 400, "invalid_grant"},
		{"doubled", url.Values{"grant_type": {"authorization_code", "authorization_code"}}, []header{byRSA}, 400, "invalid_request"},
		{"credentials of who may not", url.Values{"grant_type": {"client_credentials"}}, []header{byRSA}, 400, "unauthorized_client"},
		{"device of who may not", url.Values{"grant_type": {openid.GrantDevice}, "device_code": {"x"}}, []header{byRSA}, 400, "unauthorized_client"},
	} {
		a := s.exchange(tt.form, tt.as...)
		if a.code != tt.status || a.object()["error"] != tt.want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %d %s", tt.name, a.code, a.body, tt.status, tt.want)
		}
		if a.code == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: WWW-Authenticate %q", tt.name, a.header.Get("WWW-Authenticate"))
		}
	}
	s.send("POST", "/api/auth/oauth2/token?client_secret="+appSecret+"&"+codeForm(fresh(), appCallback).Encode(), "client_id=rsa", asForm).status(400)
	// Old clients send JSON, and the secret in the body.
	s.send("POST", "/api/oidc/token", map[string]any{
		"grant_type": "authorization_code", "code": fresh(), "redirect_uri": appCallback, "code_verifier": verifier, "client_id": "rsa", "client_secret": appSecret,
	}).status(200)
	s.send("POST", "/api/oidc/token", `{"grant_type":"authorization_code","grant_type":"authorization_code"}`).status(400)
	s.send("POST", "/api/oidc/token", `{"grant_type":1}`).status(400)
}

// 32 clients race for one code: one wins. What it was given ends, for somebody else has the
// code too.
func TestCodeIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	code := s.codeFor(s.signIn("ada@example.test"), authorizeQuery("rsa", appCallback))
	var won atomic.Int32
	var access atomic.Pointer[string]
	var running sync.WaitGroup
	for range 32 {
		running.Go(func() {
			req := httptest.NewRequest("POST", "/api/auth/oauth2/token", strings.NewReader(codeForm(code, appCallback).Encode()))
			asForm(req.Header)
			basic("rsa", appSecret)(req.Header)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			var given struct {
				Access string `json:"access_token"`
				Error  string `json:"error"`
			}
			_ = json.Unmarshal(w.Body.Bytes(), &given)
			switch {
			case w.Code == 200:
				won.Add(1)
				access.Store(&given.Access)
			case w.Code != 400 || given.Error != "invalid_grant":
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d won", won.Load())
	}
	s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(*access.Load())).status(401)
	events, err := s.auth.Events(t.Context(), principal.Operator{Name: "test"}, audit.Query{UserID: s.userOf("ada@example.test").ID, Type: "code_reuse"})
	if err != nil || len(events) == 0 {
		t.Errorf("no event of the reuse (%v)", err)
	}
}

func TestClientRefreshes(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	given := s.exchange(codeForm(s.codeFor(cookie, authorizeQuery("rsa", appCallback, "scope", "openid email offline_access")), appCallback), basic("rsa", appSecret)).status(200)
	first := given.text("refresh_token")
	refresh := func(token string, more ...string) answer {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		for i := 0; i+1 < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return s.exchange(form, basic("rsa", appSecret))
	}
	if a := s.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}, basic(openid.SynapseID, appSecret)); a.code != 400 || a.object()["error"] != "invalid_grant" {
		t.Errorf("another client refreshes it: %d %s", a.code, a.body)
	}
	if a := refresh(first, "scope", "openid profile"); a.code != 400 || a.object()["error"] != "invalid_scope" {
		t.Errorf("more than was granted: %d %s", a.code, a.body)
	}
	second := refresh(first).status(200)
	if again := refresh(first).status(200); again.text("refresh_token") != second.text("refresh_token") {
		t.Error("two presenters within the grace have different successors")
	}
	_, claims := claimsOf(t, second.text("id_token"))
	_, before := claimsOf(t, given.text("id_token"))
	if claims["sid"] != before["sid"] || claims["sub"] != before["sub"] || claims["auth_time"] != before["auth_time"] || claims["nonce"] != nil {
		t.Errorf("id_token after a refresh %v, before %v", claims, before)
	}
	if narrow := refresh(second.text("refresh_token"), "scope", "openid").status(200); narrow.object()["scope"] != "openid" {
		t.Errorf("%s", narrow.body)
	}
	// A generation older than the last one is reuse, and ends everything.
	if a := refresh(first); a.code != 400 || a.object()["error"] != "invalid_grant" {
		t.Errorf("reuse: %d %s", a.code, a.body)
	}
	s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(second.text("access_token"))).status(401)
}

// Signing out of the browser ends what its clients hold, and they are told.
func TestSignOutReachesClients(t *testing.T) {
	t.Parallel()
	told := &logouts{}
	s := newProvider(t, func(cfg *authcore.Config, deps *authcore.Deps) {
		for i := range cfg.OpenIDClients {
			if cfg.OpenIDClients[i].ID == "rsa" {
				cfg.OpenIDClients[i].BackchannelLogoutURI = "https://api.partner.test/logout"
			}
		}
		deps.Logouts = told
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.auth.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	var access []string
	for _, id := range []string{"rsa", "rsa", openid.SynapseID} {
		redirect := appCallback
		if id == openid.SynapseID {
			redirect = "https://matrix.example.test/_synapse/client/oidc/callback"
		}
		given := s.exchange(codeForm(s.codeFor(cookie, authorizeQuery(id, redirect)), redirect), basic(id, appSecret)).status(200)
		access = append(access, given.text("access_token"))
		s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))).status(200)
	}
	s.send("POST", "/api/auth/sign-out", map[string]any{}, cookie, with("Origin", base)).status(200)
	for _, token := range access {
		s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(token)).status(401)
	}
	for end := time.Now().Add(20 * time.Second); told.of("rsa") < 2 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if told.of("rsa") != 2 || told.of(openid.SynapseID) != 0 {
		t.Errorf("told %+v", told.list)
	}
}

// What a client is told (OpenID Connect Back-Channel Logout, section 2.4).
func TestLogoutToken(t *testing.T) {
	t.Parallel()
	type post struct{ media, token string }
	posts := make(chan post, 1)
	status := atomic.Int32{}
	status.Store(200)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posts <- post{r.Header.Get("Content-Type"), r.FormValue("logout_token")}
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	s := newProvider(t, func(cfg *authcore.Config, _ *authcore.Deps) {
		for i := range cfg.OpenIDClients {
			cfg.OpenIDClients[i].BackchannelLogoutURI = server.URL
		}
	})
	l := openid.Logout{SessionID: "a session", ClientID: "rsa", UserID: "a user"}
	if err := s.auth.DeliverLogout(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	sent := <-posts
	head, claims := claimsOf(t, sent.token)
	events, _ := claims["events"].(map[string]any)
	if sent.media != "application/x-www-form-urlencoded" || head["typ"] != "logout+jwt" || head["alg"] != "RS256" || claims["iss"] != base || claims["aud"] != "rsa" ||
		claims["sub"] != "a user" || claims["sid"] != "a session" || claims["nonce"] != nil || claims["jti"] == nil || claims["iat"] == nil || events["http://schemas.openid.net/event/backchannel-logout"] == nil {
		t.Errorf("%v %v", head, claims)
	}
	for code, permanent := range map[int32]bool{400: true, 500: false, 302: false} {
		status.Store(code)
		err := s.auth.DeliverLogout(t.Context(), l)
		<-posts
		if err == nil || isRefused(err) != permanent {
			t.Errorf("status %d: %v", code, err)
		}
	}
	if err := s.auth.DeliverLogout(t.Context(), openid.Logout{ClientID: "gone"}); err != nil {
		t.Errorf("a client that is gone: %v", err)
	}
}

func isRefused(err error) bool {
	return strings.Contains(err.Error(), grant.ErrLogoutRefused.Error())
}

// A client that is no app of the family asks, and what it was allowed can be taken back.
func TestConsent(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	q := authorizeQuery("partner", appCallback, "scope", "openid email offline_access reports:read nonsense")
	ask := s.send("GET", authorizePath(q), nil, cookie).status(302).location()
	if ask.Path != "/consent" || ask.Query().Get("client_id") != "partner" || ask.Query().Get("scope") != "openid email offline_access reports:read" {
		t.Fatalf("led to %s", ask)
	}
	page := s.send("GET", ask.String(), nil, cookie).status(200)
	if strings.Contains(page.body, "<b>App") || !strings.Contains(page.body, "Partner &lt;b&gt;App") || !strings.Contains(page.body, "ada@example.test") || !strings.Contains(page.body, "reports:read") ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "https://app.partner.test") {
		t.Errorf("page %s", page.body)
	}
	code := ask.Query().Get("consent_code")
	// Nobody else answers it: not another user, not a stranger, not another site's form.
	s.register("eve@example.test")
	other := s.signIn("eve@example.test")
	form := url.Values{"consent_code": {code}, "decision": {"allow"}}.Encode()
	s.send("POST", "/consent", form, asForm, with("Origin", base), other).status(400)
	s.send("POST", "/consent", form, asForm, with("Origin", base)).status(401)
	s.send("POST", "/consent", form, asForm, with("Origin", foreign), cookie).status(403)
	s.send("POST", "/consent", form, asForm, with("Origin", app), cookie).status(403)

	back := s.send("POST", "/consent", form, asForm, with("Origin", base), cookie).status(303).location()
	if back.Query().Get("code") == "" || back.Query().Get("state") != "a state" || back.Query().Get("iss") != base {
		t.Fatalf("led to %s", back)
	}
	s.send("POST", "/consent", form, asForm, with("Origin", base), cookie).status(400) // answered once
	given := s.exchange(codeForm(back.Query().Get("code"), appCallback), basic("partner", appSecret)).status(200)
	if given.object()["refresh_token"] == nil || given.object()["scope"] != "openid email offline_access reports:read" {
		t.Errorf("%s", given.body)
	}
	// It is remembered, for these scopes.
	s.codeFor(cookie, authorizeQuery("partner", appCallback, "scope", "openid email"))
	s.codeFor(cookie, authorizeQuery("partner", appCallback, "scope", "openid email", "prompt", "none"))
	if to := s.send("GET", authorizePath(authorizeQuery("partner", appCallback)), nil, cookie).status(302).location(); to.Path != "/consent" {
		t.Errorf("more scopes are given unasked: %s", to)
	}
	if to := s.send("GET", authorizePath(authorizeQuery("partner", appCallback, "scope", "openid", "prompt", "consent")), nil, cookie).status(302).location(); to.Path != "/consent" {
		t.Errorf("prompt=consent does not ask: %s", to)
	}

	apps := s.send("GET", "/account/apps", nil, cookie).status(200)
	if !strings.Contains(apps.body, "Partner &lt;b&gt;App") {
		t.Errorf("connected apps: %s", apps.body)
	}
	s.send("POST", "/account/apps", url.Values{"id": {"partner"}}.Encode(), asForm, with("Origin", base), cookie).status(303)
	s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))).status(401)
	if a := s.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {given.text("refresh_token")}}, basic("partner", appSecret)); a.code != 400 {
		t.Errorf("refreshed after the access was taken away: %s", a.body)
	}
	ask = s.send("GET", authorizePath(authorizeQuery("partner", appCallback, "scope", "openid")), nil, cookie).status(302).location()
	if ask.Path != "/consent" {
		t.Errorf("not asked again: %s", ask)
	}
	// Refused, and by a script of ours.
	no := s.send("POST", "/api/auth/oauth2/consent", map[string]any{"accept": false, "consent_code": ask.Query().Get("consent_code")}, cookie, with("Origin", base)).status(200)
	to, err := url.Parse(no.text("redirectURI"))
	if err != nil || to.Query().Get("error") != "access_denied" || to.Query().Get("state") != "a state" {
		t.Errorf("%s", no.body)
	}
}

// prompt=login and max_age ask once more, and then go on.
func TestAuthorizationAsksForAFreshProof(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	for _, q := range []url.Values{authorizeQuery("rsa", appCallback, "prompt", "login"), authorizeQuery("rsa", appCallback, "max_age", "0")} {
		time.Sleep(1100 * time.Millisecond) // a second later than the sign-in, by its own resolution
		to := s.send("GET", authorizePath(q), nil, cookie).status(302).location()
		if to.Path != "/reauthenticate" {
			t.Fatalf("led to %s", to)
		}
		page := s.send("GET", to.String(), nil, cookie).status(200)
		if !strings.Contains(page.header.Get("Content-Security-Policy"), "https://app.partner.test") {
			t.Errorf("the form may not lead back: %s", page.header.Get("Content-Security-Policy"))
		}
		form := url.Values{"password": {testPassword}, "returnUrl": {to.Query().Get("returnUrl")}}
		on := s.send("POST", "/reauthenticate", form.Encode(), asForm, with("Origin", base), cookie).status(303).location()
		back := s.send("GET", on.String(), nil, cookie).status(302).location()
		if back.Query().Get("code") == "" {
			t.Errorf("after the proof led to %s", back)
		}
	}
	if to := s.send("GET", authorizePath(authorizeQuery("rsa", appCallback, "max_age", "3600", "prompt", "none")), nil, cookie).status(302).location(); to.Query().Get("code") == "" {
		t.Errorf("a proof that is fresh: %s", to)
	}
}

// prompt=select_account lets the user take another account.
func TestAuthorizationLetsChooseAnAccount(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	s.register("bob@example.test")
	cookie := s.signIn("ada@example.test")
	time.Sleep(1100 * time.Millisecond) // a second later than the sign-in, by its own resolution
	to := s.send("GET", authorizePath(authorizeQuery("rsa", appCallback, "prompt", "select_account")), nil, cookie).status(302).location()
	page := s.send("GET", to.String(), nil, cookie).status(200)
	if to.Path != "/reauthenticate" || !strings.Contains(page.body, "ada@example.test") || !strings.Contains(page.body, `name="other"`) {
		t.Fatalf("led to %s: %s", to, page.body)
	}
	other := url.Values{"other": {"true"}, "returnUrl": {to.Query().Get("returnUrl")}}.Encode()
	s.send("POST", "/reauthenticate", other, asForm, with("Origin", foreign), cookie).status(403)
	login := s.send("POST", "/reauthenticate", other, asForm, with("Origin", base), cookie).status(303).location()
	if login.Path != "/login" || s.send("GET", "/api/auth/get-session", nil, cookie).status(200).body != "null" {
		t.Fatalf("led to %s", login)
	}
	form := url.Values{"email": {"bob@example.test"}, "password": {testPassword}, "returnUrl": {login.Query().Get("returnUrl")}}
	in := s.send("POST", "/login", form.Encode(), asForm, with("Origin", base)).status(303)
	back := s.send("GET", in.location().String(), nil, with("Cookie", cookieName+"="+in.session().Value)).status(302).location()
	given := s.exchange(codeForm(back.Query().Get("code"), appCallback), basic("rsa", appSecret)).status(200)
	if _, claims := claimsOf(t, given.text("id_token")); claims["email"] != "bob@example.test" {
		t.Errorf("signed in as %v", claims["email"])
	}
}

// A client that prefers more than one factor has it from who has one, and others as they
// are (OpenID Connect Core, section 5.5.1.1).
func TestClientPrefersMoreFactors(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	q := authorizeQuery("rsa", appCallback, "acr_values", "urn:mace:incommon:iap:silver urn:mace:incommon:iap:bronze")
	acr := func(code string) any {
		t.Helper()
		_, claims := claimsOf(t, s.exchange(codeForm(code, appCallback), basic("rsa", appSecret)).status(200).text("id_token"))
		return claims["acr"]
	}
	if got := acr(s.codeFor(cookie, q)); got != "urn:mace:incommon:iap:bronze" {
		t.Errorf("who has one factor is let in with %v", got)
	}
	access, _ := s.login("ada@example.test")
	code, _ := s.withFactor(bearer(access))
	to := s.send("GET", authorizePath(q), nil, cookie).status(302).location()
	if to.Path != "/reauthenticate" || to.Query().Get("amr") != "mfa" {
		t.Fatalf("led to %s", to)
	}
	for name, q := range map[string]url.Values{
		"bronze first": authorizeQuery("rsa", appCallback, "acr_values", "urn:mace:incommon:iap:bronze urn:mace:incommon:iap:silver"),
		"silently":     authorizeQuery("rsa", appCallback, "acr_values", "urn:mace:incommon:iap:silver", "prompt", "none"),
	} {
		if to := s.send("GET", authorizePath(q), nil, cookie).status(302).location(); to.Query().Get("code") == "" {
			t.Errorf("%s: led to %s", name, to)
		}
	}
	s.send("GET", to.String(), nil, cookie).status(200)
	form := url.Values{"code": {code()}, "returnUrl": {to.Query().Get("returnUrl")}}
	on := s.send("POST", "/reauthenticate", form.Encode(), asForm, with("Origin", base), cookie).status(303).location()
	back := s.send("GET", on.String(), nil, cookie).status(302).location()
	if got := acr(back.Query().Get("code")); got != "urn:mace:incommon:iap:silver" {
		t.Errorf("after the second factor it is %v", got)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	given := s.exchange(url.Values{"grant_type": {"client_credentials"}, "scope": {"reports:read openid"}}, basic("partner", appSecret)).status(200)
	if got := given.object(); got["id_token"] != nil || got["refresh_token"] != nil || got["scope"] != "reports:read" {
		t.Errorf("%s", given.body)
	}
	told := s.send("POST", "/api/auth/oauth2/introspect", url.Values{"token": {given.text("access_token")}}.Encode(), asForm, basic("partner", appSecret)).status(200)
	if got := told.object(); got["active"] != true || got["sub"] != "partner" || got["client_id"] != "partner" {
		t.Errorf("%s", told.body)
	}
	s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))).status(401)
	if a := s.exchange(url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}}, basic("partner", appSecret)); a.code != 400 || a.object()["error"] != "invalid_scope" {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestIntrospectionAndRevocation(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	ask := func(token string, as header) map[string]any {
		t.Helper()
		return s.send("POST", "/api/auth/oauth2/introspect", url.Values{"token": {token}}.Encode(), asForm, as).status(200).object()
	}
	byRSA, byPartner := basic("rsa", appSecret), basic("partner", appSecret)
	given := s.exchange(codeForm(s.codeFor(cookie, authorizeQuery("rsa", appCallback)), appCallback), byRSA).status(200)
	access := given.text("access_token")
	head, claims := claimsOf(t, access)
	if head["typ"] != "at+jwt" || head["alg"] != "RS256" || claims["aud"] != "https://api.partner.test" || claims["client_id"] != "rsa" || claims["iss"] != base || claims["scope"] != "openid profile email" || claims["jti"] == nil || claims["sid"] == nil {
		t.Errorf("access token %v %v", head, claims)
	}
	u := s.userOf("ada@example.test")
	info := s.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(access)).status(200).object()
	if _, told := claimsOf(t, given.text("id_token")); info["email_verified"] != false || told["email_verified"] != false {
		t.Errorf("an address that is not proven: userinfo %v, ID token %v", info, told)
	}
	if got := ask(access, byRSA); got["active"] != true || got["sub"] != u.ID || got["client_id"] != "rsa" || got["username"] != "ada@example.test" || got["token_type"] != "Bearer" {
		t.Errorf("%v", got)
	}
	if got := ask(given.text("refresh_token"), byRSA); got["active"] != true || got["sub"] != u.ID {
		t.Errorf("refresh token: %v", got)
	}
	for name, got := range map[string]map[string]any{
		"another client": ask(access, byPartner), "another client's refresh token": ask(given.text("refresh_token"), byPartner), "nonsense": ask("nonsense", byRSA),
		"an ID token": ask(given.text("id_token"), byRSA), "forged": ask(access[:len(access)-4]+"AAAA", byRSA),
	} {
		if got["active"] != false || len(got) != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
	s.send("POST", "/api/auth/oauth2/introspect", url.Values{"token": {access}}.Encode(), asForm).status(400)
	s.send("POST", "/api/auth/oauth2/introspect", url.Values{"token": {access}}.Encode(), asForm, basic("rsa", "wrong")).status(401)

	revoke := func(token string, as header) {
		t.Helper()
		s.send("POST", "/api/auth/oauth2/revoke", url.Values{"token": {token}}.Encode(), asForm, as).status(200)
	}
	revoke(access, byPartner)
	revoke(given.text("refresh_token"), byPartner)
	if ask(access, byRSA)["active"] != true || ask(given.text("refresh_token"), byRSA)["active"] != true {
		t.Fatal("another client revoked it")
	}
	revoke("nonsense", byRSA)
	revoke(access, byRSA)
	if ask(access, byRSA)["active"] != false || ask(given.text("refresh_token"), byRSA)["active"] != true {
		t.Error("revoking an access token must end that alone")
	}
	next := s.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {given.text("refresh_token")}}, byRSA).status(200)
	revoke(next.text("refresh_token"), byRSA)
	if ask(next.text("access_token"), byRSA)["active"] != false || ask(next.text("refresh_token"), byRSA)["active"] != false {
		t.Error("revoking a refresh token must end its session")
	}
}

// Access tokens of clients are nobody's at the gate, but where a site names their
// audience: there they are their user's as far as their scopes go.
func TestClientTokensAtTheGate(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	given := func(scope string) answer {
		t.Helper()
		return s.exchange(codeForm(s.codeFor(cookie, authorizeQuery("rsa", appCallback, "scope", scope)), appCallback), basic("rsa", appSecret)).status(200)
	}
	tokens := given("openid email offline_access")
	access := tokens.text("access_token")
	const audience = "https://api.partner.test"
	gates := map[string]*gate.Gate{
		"":                edgetest.Gate(s.auth, &gate.Gate{}),
		"another":         edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{"https://other.test"}}),
		"named":           edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{"https://other.test", audience}}),
		"scope":           edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{audience}, Scopes: []string{"email"}}),
		"missing scope":   edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{audience}, Scopes: []string{"email", "reports:read"}}),
		"of admins":       edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{audience}, Roles: []string{"admin"}}),
		"open to guests":  edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{audience}, Optional: true}),
		"the client's id": edgetest.Gate(s.auth, &gate.Gate{Audiences: []string{"rsa"}}),
	}
	at := func(name, token string) (int, *http.Request) {
		t.Helper()
		w, up := edgetest.Serve(t, gates[name], edgetest.Ask("GET", "/", "Authorization: Bearer "+token))
		return w.Code, up
	}
	for round := range 2 { // the second is from memory
		for name, want := range map[string]int{"": 401, "another": 401, "missing scope": 403, "of admins": 403, "the client's id": 401} {
			if code, up := at(name, access); code != want || up != nil {
				t.Errorf("round %d, %q: %d, want %d", round, name, code, want)
			}
		}
		for _, name := range []string{"named", "scope", "open to guests"} {
			code, up := at(name, access)
			if up == nil {
				t.Fatalf("round %d, %q: %d", round, name, code)
			}
			if up.Header.Get("X-Mana-User-Id") != s.userOf("ada@example.test").ID || up.Header.Get("X-Mana-Client-Id") != "rsa" ||
				up.Header.Get("X-Mana-Scopes") != "openid,email,offline_access" || up.Header.Get("X-Mana-Email") != "ada@example.test" || up.Header.Get("Authorization") != "Bearer "+access {
				t.Errorf("round %d, %q: %v", round, name, up.Header)
			}
		}
	}

	// What is no access token, or nobody's, is none here either.
	itself := s.exchange(url.Values{"grant_type": {"client_credentials"}, "scope": {"reports:read"}}, basic("partner", appSecret)).status(200).text("access_token")
	for name, token := range map[string]string{"an ID token": tokens.text("id_token"), "forged": access[:len(access)-4] + "AAAA", "opaque": itself, "a refresh token": tokens.text("refresh_token")} {
		if code, up := at("named", token); code != 401 || up != nil {
			t.Errorf("%s: %d", name, code)
		}
	}

	// One token that is revoked ends alone, and a session with all of its.
	other := given("openid").text("access_token")
	if code, _ := at("named", other); code != 200 {
		t.Fatal(code)
	}
	revoke := func(token string) {
		t.Helper()
		s.send("POST", "/api/auth/oauth2/revoke", url.Values{"token": {token}}.Encode(), asForm, basic("rsa", appSecret)).status(200)
	}
	revoke(access)
	if code, up := at("named", access); code != 401 || up != nil {
		t.Errorf("revoked: %d", code)
	}
	if code, _ := at("named", other); code != 200 {
		t.Errorf("another token was revoked: %d", code)
	}
	next := s.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.text("refresh_token")}}, basic("rsa", appSecret)).status(200)
	if code, _ := at("named", next.text("access_token")); code != 200 {
		t.Errorf("refreshed: %d", code)
	}
	revoke(next.text("refresh_token"))
	if code, _ := at("named", next.text("access_token")); code != 401 {
		t.Errorf("its session was ended: %d", code)
	}
}

// Clients register themselves by the initial access token (RFC 7591), and get no further
// than any stranger.
func TestClientsRegisterThemselves(t *testing.T) {
	t.Parallel()
	const initial = "an-initial-access-token-of-an-admin"
	s := newProvider(t, func(cfg *authcore.Config, _ *authcore.Deps) { cfg.OpenIDRegistration = openid.DigestOf(initial) })
	const path = "/api/auth/oauth2/register"
	if got := s.send("GET", "/.well-known/openid-configuration", nil).status(200).object()["registration_endpoint"]; got != base+path {
		t.Errorf("discovery names %v", got)
	}
	wanted := map[string]any{
		"redirect_uris": []string{appCallback}, "client_name": "Newcomer", "token_endpoint_auth_method": "client_secret_post", "scope": "openid email admin", "software_id": "whatever",
		"post_logout_redirect_uris": []string{"https://app.partner.test/bye"}, "contacts": []string{"a@example.test"}, "trusted": true,
	}
	made := s.send("POST", path, wanted, bearer(initial)).status(201)
	got := made.object()
	id, secret := made.text("client_id"), made.text("client_secret")
	if id == "" || len(secret) < 22 || got["client_secret_expires_at"] != 0.0 || got["client_id_issued_at"].(float64) < 1e9 || got["scope"] != "openid email" || got["id_token_signed_response_alg"] != "RS256" ||
		got["token_endpoint_auth_method"] != "client_secret_post" || got["client_name"] != "Newcomer" || made.header.Get("Cache-Control") != "no-store" || got["trusted"] != nil {
		t.Errorf("%v %s", made.header, made.body)
	}

	// It signs a user in, who is asked.
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	ask := s.send("GET", authorizePath(authorizeQuery(id, appCallback)), nil, cookie).status(302).location()
	if ask.Path != "/consent" {
		t.Fatalf("led to %s", ask)
	}
	form := url.Values{"consent_code": {ask.Query().Get("consent_code")}, "decision": {"allow"}}
	back := s.send("POST", "/consent", form.Encode(), asForm, with("Origin", base), cookie).status(303).location()
	given := s.exchange(codeForm(back.Query().Get("code"), appCallback), basic(id, secret)).status(200)
	if head, _ := claimsOf(t, given.text("id_token")); head["alg"] != "RS256" {
		t.Errorf("signed by %v", head["alg"])
	}

	// A public one has no secret.
	phone := s.send("POST", "/api/oidc/register", map[string]any{"redirect_uris": []string{"http://127.0.0.1/cb"}, "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "EdDSA"}, bearer(initial)).status(201)
	if phone.object()["client_secret"] != nil || phone.object()["id_token_signed_response_alg"] != "EdDSA" {
		t.Errorf("%s", phone.body)
	}

	// Nothing is sent to a network of ours for it.
	asked := atomic.Int32{}
	near := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(near.Close)
	spy := s.send("POST", path, map[string]any{"redirect_uris": []string{appCallback}, "backchannel_logout_uri": near.URL}, bearer(initial)).status(201)
	if err := s.auth.DeliverLogout(t.Context(), openid.Logout{ClientID: spy.text("client_id"), SessionID: "s", UserID: "u"}); !errors.Is(err, publicnet.ErrNotPublic) || asked.Load() != 0 {
		t.Errorf("a logout was sent to %s: %v", near.URL, err)
	}

	for name, tt := range map[string]struct {
		body any
		as   []header
		code int
		want string
	}{
		"nobody":              {wanted, nil, 401, "invalid_token"},
		"another token":       {wanted, []header{bearer(initial + "x")}, 401, "invalid_token"},
		"the service's key":   {wanted, []header{asService}, 401, "invalid_token"},
		"no JSON":             {"redirect_uris=x", []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"another type":        {`{"redirect_uris":"https://a.test/"}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"no address":          {`{}`, []header{bearer(initial)}, 400, "invalid_redirect_uri"},
		"a wildcard":          {`{"redirect_uris":["https://*.test/"]}`, []header{bearer(initial)}, 400, "invalid_redirect_uri"},
		"a fragment":          {`{"redirect_uris":["https://a.test/#x"]}`, []header{bearer(initial)}, 400, "invalid_redirect_uri"},
		"javascript":          {`{"redirect_uris":["javascript:alert(1)"]}`, []header{bearer(initial)}, 400, "invalid_redirect_uri"},
		"implicit":            {`{"redirect_uris":["https://a.test/"],"response_types":["token"]}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"another grant":       {`{"redirect_uris":["https://a.test/"],"grant_types":["password"]}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"none as a signature": {`{"redirect_uris":["https://a.test/"],"id_token_signed_response_alg":"none"}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"a key of its own":    {`{"redirect_uris":["https://a.test/"],"token_endpoint_auth_method":"private_key_jwt"}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"scopes of others":    {`{"redirect_uris":["https://a.test/"],"scope":"admin"}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"a long name":         {map[string]any{"redirect_uris": []string{appCallback}, "client_name": strings.Repeat("n", 200)}, []header{bearer(initial)}, 400, "invalid_client_metadata"},
		"too much":            {`{"client_name":"` + strings.Repeat("n", 100_000) + `"}`, []header{bearer(initial)}, 400, "invalid_client_metadata"},
	} {
		if a := s.send("POST", path, tt.body, append(tt.as, with("X-Forwarded-For", "192.0.2.9"))...); a.code != tt.code || a.object()["error"] != tt.want {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}

	off := newProvider(t)
	off.send("POST", path, wanted, bearer(initial)).status(401)
	off.send("POST", path, wanted, bearer("")).status(401)
	if off.send("GET", "/.well-known/openid-configuration", nil).status(200).object()["registration_endpoint"] != nil {
		t.Error("a door that is closed is named")
	}
}

// A device is allowed elsewhere (RFC 8628).
func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	cookie := s.signIn("ada@example.test")
	start := func() answer {
		t.Helper()
		return s.send("POST", "/api/auth/oauth2/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"openid email offline_access"}}.Encode(), asForm).status(200)
	}
	poll := func(code string) answer {
		return s.exchange(url.Values{"grant_type": {openid.GrantDevice}, "device_code": {code}, "client_id": {"tv"}})
	}
	post := func(form url.Values) answer {
		t.Helper()
		return s.send("POST", "/device", form.Encode(), asForm, with("Origin", base), cookie)
	}
	begun := start()
	if got := begun.object(); got["verification_uri"] != base+"/device" || got["expires_in"] != 600.0 || got["interval"] != 5.0 || got["verification_uri_complete"] != base+"/device?user_code="+begun.text("user_code") {
		t.Errorf("%s", begun.body)
	}
	device, code := begun.text("device_code"), begun.text("user_code")
	if a := poll(device); a.code != 400 || a.object()["error"] != "authorization_pending" {
		t.Errorf("%d %s", a.code, a.body)
	}
	if a := poll(device); a.code != 400 || a.object()["error"] != "slow_down" {
		t.Errorf("polled too fast: %d %s", a.code, a.body)
	}
	if a := s.exchange(url.Values{"grant_type": {openid.GrantDevice}, "device_code": {device}}, basic("partner", appSecret)); a.code != 400 {
		t.Errorf("another client: %s", a.body)
	}
	if to := s.send("GET", "/device?user_code="+code, nil).status(303).location(); to.Path != "/login" || !strings.Contains(to.RawQuery, code) {
		t.Errorf("led to %s", to)
	}
	shown := post(url.Values{"user_code": {strings.ToLower(strings.ReplaceAll(code, "-", " "))}}).status(200)
	if !strings.Contains(shown.body, "Telly") || !strings.Contains(shown.body, code) {
		t.Errorf("%s", shown.body)
	}
	post(url.Values{"user_code": {"BBBB-BBBB"}, "decision": {"allow"}}).status(400)
	s.send("POST", "/device", url.Values{"user_code": {code}, "decision": {"allow"}}.Encode(), asForm, with("Origin", foreign), cookie).status(403)
	post(url.Values{"user_code": {code}, "decision": {"allow"}}).status(200)
	post(url.Values{"user_code": {code}, "decision": {"allow"}}).status(400)
	s.exec(`UPDATE auth.oauth_device_codes SET polled_at = now() - interval '1 hour'`)
	given := poll(device).status(200)
	if given.object()["id_token"] == nil || given.object()["refresh_token"] == nil {
		t.Errorf("%s", given.body)
	}
	s.exec(`UPDATE auth.oauth_device_codes SET polled_at = now() - interval '1 hour'`)
	if a := poll(device); a.code != 400 || a.object()["error"] != "invalid_grant" {
		t.Errorf("taken twice: %d %s", a.code, a.body)
	}

	refused := start()
	post(url.Values{"user_code": {refused.text("user_code")}, "decision": {"refuse"}}).status(200)
	if a := poll(refused.text("device_code")); a.code != 400 || a.object()["error"] != "access_denied" {
		t.Errorf("refused: %d %s", a.code, a.body)
	}
	late := start()
	s.exec(`UPDATE auth.oauth_device_codes SET expires_at = now() WHERE user_id IS NULL`)
	if a := poll(late.text("device_code")); a.code != 400 || a.object()["error"] != "expired_token" {
		t.Errorf("late: %d %s", a.code, a.body)
	}
	post(url.Values{"user_code": {late.text("user_code")}}).status(400)
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	s := newProvider(t)
	s.register("ada@example.test")
	signedIn := func() (cookie header, idToken string) {
		cookie = s.signIn("ada@example.test")
		s.exec(`INSERT INTO auth.oauth_consents (id, user_id, client_id, scopes, consent_given) SELECT 'c', id, 'partner', 'openid profile email', true FROM auth.users ON CONFLICT DO NOTHING`)
		given := s.exchange(codeForm(s.codeFor(cookie, authorizeQuery("partner", appCallback)), appCallback), basic("partner", appSecret)).status(200)
		return cookie, given.text("id_token")
	}
	live := func(cookie header) bool {
		a := s.send("GET", "/api/auth/get-session", nil, cookie).status(200)
		return a.body != "null"
	}
	end := func(q url.Values, headers ...header) answer {
		return s.send("GET", "/api/auth/oauth2/endsession?"+q.Encode(), nil, headers...)
	}
	const bye = "https://app.partner.test/bye"

	cookie, hint := signedIn()
	to := end(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s"}}, cookie).status(302).location()
	if to.String() != bye+"?state=s" || live(cookie) {
		t.Errorf("led to %s, signed in %v", to, live(cookie))
	}
	cookie, hint = signedIn()
	if a := end(url.Values{"id_token_hint": {hint}}, cookie).status(200); a.object()["success"] != true || a.object()["message"] != "Logout successful" || live(cookie) {
		t.Errorf("%s", a.body)
	}
	// Another site's link signs nobody out.
	cookie, hint = signedIn()
	for name, q := range map[string]url.Values{"nothing": {}, "the client alone": {"client_id": {"partner"}, "post_logout_redirect_uri": {bye}}} {
		if to := end(q, cookie).status(302).location(); to.Path != "/sign-out" || !live(cookie) {
			t.Errorf("%s: led to %s, signed in %v", name, to, live(cookie))
		}
	}
	otherCookie, otherHint := signedIn()
	if to := end(url.Values{"id_token_hint": {otherHint}}, cookie).status(302).location(); to.Path != "/sign-out" || !live(cookie) || !live(otherCookie) {
		t.Errorf("the hint of another session ended this one: %s", to)
	}
	for name, q := range map[string]url.Values{
		"a target that is not registered": {"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.test/"}}, "a target without a client": {"post_logout_redirect_uri": {bye}},
		"a foreign hint": {"id_token_hint": {"a.b.c"}}, "a hint of another client": {"id_token_hint": {hint}, "client_id": {"rsa"}},
	} {
		if a := end(q, cookie); a.code != 400 || !live(cookie) {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	page := s.send("GET", "/sign-out?client_id=partner&post_logout_redirect_uri="+url.QueryEscape(bye)+"&state=s", nil, cookie).status(200)
	if !strings.Contains(page.body, bye) {
		t.Errorf("%s", page.body)
	}
	form := url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {bye}, "state": {"s"}}.Encode()
	s.send("POST", "/sign-out", form, asForm, with("Origin", foreign), cookie).status(403)
	if to := s.send("POST", "/sign-out", form, asForm, with("Origin", base), cookie).status(303).location(); to.String() != bye+"?state=s" || live(cookie) {
		t.Errorf("led to %s", to)
	}
	form = url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {"https://evil.test/"}}.Encode()
	s.send("POST", "/sign-out", form, asForm, with("Origin", base), otherCookie).status(200)
}

// Real relying parties take what we say, by both algorithms.
func TestRelyingParties(t *testing.T) {
	t.Parallel()
	for _, id := range []string{openid.SynapseID, "rsa"} {
		s, server := overHTTP(t)
		s.register("ada@example.test")
		issuer := server.URL
		redirect := appCallback
		if id == openid.SynapseID {
			redirect = "https://matrix.example.test/_synapse/client/oidc/callback"
		}
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if r.URL.Host != strings.TrimPrefix(issuer, "http://") {
				return http.ErrUseLastResponse
			}
			return nil
		}}
		in, err := browser.Post(issuer+"/api/auth/sign-in/email", "application/json", strings.NewReader(`{"email":"ada@example.test","password":"`+testPassword+`"}`))
		if err != nil || in.StatusCode != 200 {
			t.Fatalf("sign in: %v", err)
		}
		_ = in.Body.Close()
		walk := func(address string) url.Values {
			t.Helper()
			a, err := browser.Get(address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			to, err := url.Parse(a.Header.Get("Location"))
			if err != nil || to.Query().Get("code") == "" {
				t.Fatalf("%d led to %v (%v)", a.StatusCode, to, err)
			}
			return to.Query()
		}

		// coreos/go-oidc.
		provider, err := gooidc.NewProvider(t.Context(), issuer)
		if err != nil {
			t.Fatal(err)
		}
		conf := oauth2.Config{ClientID: id, ClientSecret: appSecret, RedirectURL: redirect, Endpoint: provider.Endpoint(), Scopes: []string{"openid", "profile", "email", "offline_access"}}
		pkce := oauth2.GenerateVerifier()
		back := walk(conf.AuthCodeURL("state", oauth2.S256ChallengeOption(pkce), gooidc.Nonce("n-1")))
		given, err := conf.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(pkce))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := given.Extra("id_token").(string)
		checked, err := provider.Verifier(&gooidc.Config{ClientID: id}).Verify(t.Context(), raw)
		if err != nil {
			t.Fatalf("go-oidc refuses the ID token of %s: %v", id, err)
		}
		if err := checked.VerifyAccessToken(given.AccessToken); err != nil || checked.Nonce != "n-1" {
			t.Errorf("at_hash: %v, nonce %q", err, checked.Nonce)
		}
		given.Expiry = time.Now().Add(-time.Minute)
		again, err := conf.TokenSource(t.Context(), given).Token()
		if err != nil || again.AccessToken == given.AccessToken {
			t.Errorf("refresh: %v", err)
		}
		info, err := provider.UserInfo(t.Context(), oauth2.StaticTokenSource(again))
		if err != nil || info.Email != "ada@example.test" {
			t.Errorf("userinfo %+v, %v", info, err)
		}

		// zitadel/oidc.
		party, err := rp.NewRelyingPartyOIDC(t.Context(), issuer, id, appSecret, redirect, []string{"openid", "profile", "email"},
			rp.WithVerifierOpts(rp.WithSupportedSigningAlgorithms("EdDSA", "RS256")))
		if err != nil {
			t.Fatal(err)
		}
		back = walk(rp.AuthURL("state", party, rp.WithCodeChallenge(challengeOf(verifier))))
		tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](t.Context(), back.Get("code"), party, rp.WithCodeVerifier(verifier))
		if err != nil {
			t.Fatalf("zitadel refuses %s: %v", id, err)
		}
		if tokens.IDTokenClaims.Email != "ada@example.test" || tokens.IDTokenClaims.SessionID == "" {
			t.Errorf("%+v", tokens.IDTokenClaims)
		}
	}
}

// overHTTP is a provider that is reached at an address of this machine, with more clients.
func overHTTP(t testing.TB, clients ...openid.Client) (*site, *httptest.Server) {
	t.Helper()
	var handler atomic.Pointer[site]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s := newSiteOf(t, billing.Config{BaseURL: base}, func(cfg *authcore.Config, _ *authcore.Deps) {
		cfg.BaseURL, cfg.CookieDomain, cfg.TrustedOrigins, cfg.OpenIDClients = server.URL, "", nil, append(openIDClients(), clients...)
	}, func(cfg *api.Config, _ *api.Deps) {
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg.BaseURL = u
	})
	handler.Store(s)
	return s, server
}
