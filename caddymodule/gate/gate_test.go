package gate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func wantSealed(t testing.TB, upstream *http.Request, p edgetest.Person, sessionID string) {
	t.Helper()
	if upstream == nil {
		t.Fatal("the upstream was not reached")
	}
	want := map[string]string{"X-Mana-User-Id": p.User.ID, "X-Mana-Email": p.User.Email, "X-Mana-Role": string(p.User.Role), "X-Mana-Session-Id": sessionID,
		"X-Mana-Email-Verified": strconv.FormatBool(p.User.EmailVerified), "X-Mana-Amr": "pwd"}
	sealed := sealedOf(upstream)
	seconds, err := strconv.ParseInt(sealed["X-Mana-Auth-Time"], 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age < 0 || age > 5*time.Minute {
		t.Errorf("X-Mana-Auth-Time is %q", sealed["X-Mana-Auth-Time"])
	}
	delete(sealed, "X-Mana-Auth-Time")
	if diff := cmp.Diff(want, sealed); diff != "" {
		t.Error(diff)
	}
}

func sealedOf(r *http.Request) map[string]string {
	sealed := make(map[string]string)
	for name, values := range r.Header {
		if looksLikeIdentity(name) {
			sealed[name] = strings.Join(values, "|")
		}
	}
	return sealed
}

func TestGateBearer(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	good := "Authorization: Bearer " + ada.Tokens.AccessToken

	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/x", good, "X-Mana-User-Id: 666", "X_Mana_Role: admin", "Connection: x-mana-user-id", "Cookie: a=1"))
	wantSealed(t, up, ada, ada.Tokens.SessionID)
	if got := up.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+ada.Tokens.AccessToken {
		t.Errorf("Authorization %q", got)
	}
	if up.Header.Get("Cookie") != "a=1" || up.Header["Connection"] != nil {
		t.Errorf("Cookie %q, Connection %q", up.Header.Get("Cookie"), up.Header["Connection"])
	}
	if vary := w.Header().Get("Vary"); !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Authorization") {
		t.Errorf("Vary %q", vary)
	}

	for _, c := range []struct {
		name    string
		headers []string
		message string
	}{
		{"no header", nil, "No token provided"},
		{"other scheme", []string{"Authorization: Basic YTpi"}, "No token provided"},
		{"small letters", []string{"Authorization: bearer " + ada.Tokens.AccessToken}, "No token provided"},
		{"two blanks", []string{"Authorization: Bearer  " + ada.Tokens.AccessToken}, "No token provided"},
		{"two headers", []string{good, good}, "No token provided"},
		{"two headers and a cookie", []string{good, "Authorization: Basic YTpi", "Cookie: " + ada.Cookie}, "No token provided"},
		{"garbage", []string{"Authorization: Bearer a.b.c"}, "Invalid token"},
		{"API key", []string{"Authorization: Bearer sk_live_0123456789abcdef"}, "Invalid token"},
		{"bad bearer, good cookie", []string{"Authorization: Bearer a.b.c", "Cookie: " + ada.Cookie}, "Invalid token"},
		{"alien cookie", []string{"Cookie: __Secure-mana.session_token=abc.def"}, "No token provided"},
	} {
		w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/x?token=secret", c.headers...))
		t.Log(c.name)
		edgetest.WantRefusal(t, w, up, 401, c.message)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the query leaks: %s", w.Body)
		}
	}
}

func TestGateCookie(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})

	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: theme=\"dark\";  lang=de; "+ada.Cookie, "Cookie: last=1"))
	wantSealed(t, up, ada, ada.Browser.Session().ID)
	if diff := cmp.Diff([]string{"theme=\"dark\";  lang=de", "last=1"}, up.Header["Cookie"]); diff != "" {
		t.Error(diff)
	}
	if got := request.Cookies(up); len(got) != 2 || !strings.Contains(got[0], ada.Cookie) {
		t.Errorf("handlers of the edge see %q", got)
	}
	token, ok := request.Bearer(up.Header)
	if !ok {
		t.Fatalf("Authorization %q", up.Header["Authorization"])
	}
	claims, err := s.Verify(t.Context(), token)
	if err != nil || claims.Subject != ada.User.ID || claims.SessionID != ada.Browser.Session().ID {
		t.Errorf("the fresh bearer says %+v, %v", claims, err)
	}
	// The second gate of a chain meets the bearer the first one wrote.
	_, up = edgetest.Serve(t, g, up)
	wantSealed(t, up, ada, ada.Browser.Session().ID)
}

// caddy-security#131, #168, #347, better-auth#9233, tinyauth#155: a dead or
// foreign cookie of the same name does not hide the good one.
func TestGateTriesEveryCookieOfTheName(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	name, _, _ := strings.Cut(ada.Cookie, "=")
	dead, _, _ := strings.Cut(s.Cookies().Set("abcdefghijklmnopqrstuvwxyzABCDEF", true, time.Hour), ";")
	for _, cookie := range []string{
		name + "=garbage; " + ada.Cookie,
		dead + "; " + ada.Cookie,
		ada.Cookie + "; " + dead,
	} {
		_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Cookie: "+cookie))
		wantSealed(t, up, ada, ada.Browser.Session().ID)
		if up.Header["Cookie"] != nil {
			t.Errorf("upstream got %q", up.Header["Cookie"])
		}
	}
	w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Cookie: "+dead))
	edgetest.WantRefusal(t, w, up, 401, "Invalid token")
}

// An address that nobody has proven is told from one that is, and an admin may
// ask for the proof.
func TestGateRequiresAVerifiedAddress(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	_, err := s.Register(t.Context(), edgetest.GateClient, authcore.Registration{Email: "ceo@example.test", Password: edgetest.GatePassword})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.SignIn(t.Context(), edgetest.GateClient, "ceo@example.test", edgetest.GatePassword)
	if err != nil {
		t.Fatal(err)
	}
	browser, err := s.SignInBrowser(t.Context(), edgetest.GateClient, "ceo@example.test", edgetest.GatePassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(s.Cookies().Set(browser.Token, true, time.Hour), ";")
	strict := edgetest.Gate(s, &gate.Gate{Require: []string{"verified_email"}})
	for _, credential := range []string{"Authorization: Bearer " + tokens.AccessToken, "Cookie: " + cookie} {
		_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", credential, "X-Mana-Email-Verified: true"))
		if up == nil || up.Header.Get("X-Mana-Email-Verified") != "false" {
			t.Fatalf("the app is told %v", up)
		}
		repl := up.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if got, _ := repl.GetString("http.auth.user.email_verified"); got != "false" {
			t.Errorf("placeholder %q", got)
		}
		w, up := edgetest.Serve(t, strict, edgetest.Ask("GET", "/", credential))
		edgetest.WantRefusal(t, w, up, 403, "Email not verified")
		w, up = edgetest.Serve(t, strict, edgetest.Ask("GET", "/", credential, "Sec-Fetch-Mode: navigate"))
		if up != nil || w.Code != 403 || !strings.Contains(w.Body.String(), "not confirmed yet") || !strings.Contains(w.Body.String(), "/resend-verification\"") {
			t.Errorf("a page: %d, reached the app: %v: %s", w.Code, up != nil, w.Body)
		}
	}
	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
		if _, up := edgetest.Serve(t, strict, edgetest.Ask("GET", "/", credential)); up == nil || up.Header.Get("X-Mana-Email-Verified") != "true" {
			t.Errorf("%.10s: a verified address does not pass", credential)
		}
	}
}

// A host below the cookie domain can plant its own live session beside the
// user's, in front of it too. Nobody may silently act as the other.
func TestGateRefusesSessionsOfTwoUsers(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	eve := edgetest.NewPerson(t, s, "eve@example.test", "user")
	for _, g := range []*gate.Gate{edgetest.Gate(s, &gate.Gate{}), edgetest.Gate(s, &gate.Gate{Optional: true})} {
		for _, cookies := range []string{eve.Cookie + "; " + ada.Cookie, ada.Cookie + "; theme=dark; " + eve.Cookie} {
			w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+cookies, "Sec-Fetch-Mode: cors"))
			if up != nil || w.Code != 409 || !strings.Contains(w.Body.String(), `"code":"SESSION_CONFLICT"`) {
				t.Errorf("a call: %d, reached the app: %v: %s", w.Code, up != nil, w.Body)
			}
			w, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+cookies, "Sec-Fetch-Mode: navigate", "Accept-Language: de"))
			if up != nil || w.Code != 409 || !strings.Contains(w.Body.String(), "zwei Konten") || len(w.Header()["Set-Cookie"]) > 0 {
				t.Errorf("a page: %d, reached the app: %v: %s", w.Code, up != nil, w.Body)
			}
		}
	}
	g := edgetest.Gate(s, &gate.Gate{})
	again, err := s.SignInBrowser(t.Context(), edgetest.GateClient, "ada@example.test", edgetest.GatePassword, true)
	if err != nil {
		t.Fatal(err)
	}
	second, _, _ := strings.Cut(s.Cookies().Set(again.Token, true, time.Hour), ";")
	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+ada.Cookie+"; "+second))
	wantSealed(t, up, ada, ada.Browser.Session().ID)
	_, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+ada.Cookie+"; "+eve.Cookie, "Authorization: Bearer "+ada.Tokens.AccessToken))
	if up == nil || up.Header.Get("X-Mana-User-Id") != ada.User.ID {
		t.Error("a token is nobody else's, whatever the cookies say")
	}
	if err := s.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{CookieTokens: []string{eve.Browser.Token}}); err != nil {
		t.Fatal(err)
	}
	_, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+eve.Cookie+"; "+ada.Cookie))
	wantSealed(t, up, ada, ada.Browser.Session().ID)
}

// What stands behind a gate that leads nobody to the sign-in page knows that of guests.
func TestGuestsThatAreNotLedToSignIn(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	for login, want := range map[string]bool{"": false, "redirect": false, "never": true} {
		g := edgetest.Gate(s, &gate.Gate{Optional: true, Login: login})
		for name, lines := range map[string][]string{"nothing": nil, "a bad token": {"Authorization: Bearer x"}, "a dead cookie": {"Cookie: __Secure-mana.session_token=abc.def"}} {
			_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", lines...))
			if up == nil {
				t.Errorf("login %q, %s: nobody passed", login, name)
				continue
			}
			if a := request.AuthOf(up.Context()); (a != nil && a.NoLogin) != want {
				t.Errorf("login %q, %s: %+v", login, name, a)
			}
		}
	}
}

// caddy-security#272, supabase#36354, pomerium#6024: nothing outlives logout.
func TestGateHonoursSignOut(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	bearer, cookie := "Authorization: Bearer "+ada.Tokens.AccessToken, "Cookie: "+ada.Cookie
	for _, credential := range []string{bearer, cookie} {
		_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", credential))
		if up == nil {
			t.Fatal("refused before the sign-out")
		}
	}
	if err := s.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{SessionID: ada.Tokens.SessionID, CookieTokens: []string{ada.Browser.Token}}); err != nil {
		t.Fatal(err)
	}
	for _, credential := range []string{bearer, cookie} {
		w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", credential))
		edgetest.WantRefusal(t, w, up, 401, "Invalid token")
	}
}

func TestGateOptional(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{Optional: true})

	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken))
	wantSealed(t, up, ada, ada.Tokens.SessionID)

	for _, c := range []struct {
		headers       []string
		authorization []string
	}{
		{nil, nil},
		{[]string{"X-Mana-User-Id: 666", "x_mana_role: admin"}, nil},
		{[]string{"Authorization: Bearer a.b.c", "X-Mana-User-Id: 666"}, nil},
		{[]string{"Authorization: bearer a.b.c"}, nil},
		{[]string{"Authorization: Basic YTpi"}, []string{"Basic YTpi"}},
		{[]string{"Authorization: Basic YTpi", "Authorization: Bearer " + ada.Tokens.AccessToken}, nil},
		{[]string{"Cookie: __Secure-mana.session_token=abc.def; a=1"}, nil},
	} {
		_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", c.headers...))
		if up == nil {
			t.Fatalf("%q: refused", c.headers)
		}
		if sealed := sealedOf(up); len(sealed) > 0 {
			t.Errorf("%q: guest named %v", c.headers, sealed)
		}
		if diff := cmp.Diff(c.authorization, up.Header["Authorization"]); diff != "" {
			t.Errorf("%q: %s", c.headers, diff)
		}
		if strings.Contains(up.Header.Get("Cookie"), "mana.") {
			t.Errorf("%q: upstream got cookie %q", c.headers, up.Header.Get("Cookie"))
		}
		repl := up.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		for _, name := range []string{"id", "email", "role", "session", "org"} {
			if got := repl.ReplaceKnown("{http.auth.user."+name+"}", ""); got != "" {
				t.Errorf("%q: placeholder %q", c.headers, got)
			}
		}
	}
}

func TestGateRoles(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	root := edgetest.NewPerson(t, s, "root@example.test", "admin")
	g := edgetest.Gate(s, &gate.Gate{Roles: []string{"admin", "service"}, Scopes: []string{"chat"}})
	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
		w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", credential, "X-Mana-Role: admin", "Sec-Fetch-Mode: cors"))
		edgetest.WantRefusal(t, w, up, 403, "Forbidden: your role does not allow this")
		for _, phrase := range []string{"jwt expired", "token expired", "token has expired", "invalid token", "token validation failed", "claim"} {
			if strings.Contains(strings.ToLower(w.Body.String()), phrase) {
				t.Errorf("%q would make clients refresh", phrase)
			}
		}
	}
	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Authorization: Bearer "+root.Tokens.AccessToken))
	wantSealed(t, up, root, root.Tokens.SessionID)

	only := edgetest.Gate(s, &gate.Gate{Roles: []string{"admin"}})
	w, up := edgetest.Serve(t, only, edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken))
	edgetest.WantRefusal(t, w, up, 403, "Forbidden: your role does not allow this")
	_, up = edgetest.Serve(t, only, edgetest.Ask("GET", "/", "Authorization: Bearer "+root.Tokens.AccessToken))
	wantSealed(t, up, root, root.Tokens.SessionID)
}

func TestGatePlaceholders(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Cookie: "+ada.Cookie))
	repl := up.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	got := repl.ReplaceAll("{http.auth.user.id} {http.auth.user.email} {http.auth.user.role} {http.auth.user.session} {http.auth.user.org}.", "?")
	if want := ada.User.ID + " ada@example.test user " + ada.Browser.Session().ID + " ?."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGateCrossSite(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	for _, c := range []struct {
		method  string
		headers []string
		pass    bool
	}{
		{"POST", nil, false},
		{"DELETE", []string{"Origin: " + edgetest.GateApp}, true},
		{"POST", []string{"Origin: https://CHAT.example.test"}, true},
		{"POST", []string{"Origin: https://todo.example.test", "Sec-Fetch-Site: same-site"}, true},
		{"POST", []string{"Origin: http://chat.example.test"}, false},
		{"POST", []string{"Origin: https://chat.example.test:8443"}, false},
		{"POST", []string{"Origin: https://chat.example.test.evil.test"}, false},
		{"POST", []string{"Origin: https://evil.test", "Sec-Fetch-Site: cross-site"}, false},
		{"POST", []string{"Origin: https://evil.test", "Sec-Fetch-Site: same-origin"}, false},
		{"POST", []string{"Origin: null"}, false},
		{"POST", []string{"Origin: null", "Sec-Fetch-Site: same-origin"}, true},
		{"POST", []string{"Origin: null", "Sec-Fetch-Site: cross-site"}, false},
		{"PATCH", []string{"Sec-Fetch-Site: same-origin"}, true},
		{"POST", []string{"Sec-Fetch-Site: none"}, true},
		{"POST", []string{"Sec-Fetch-Site: same-site"}, false},
		{"POST", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
		{"POST", []string{"Origin: https://evil.test", "Origin: " + edgetest.GateApp}, false},
		{"POST", []string{"Origin: https://evil.test", "X-Forwarded-Host: evil.test"}, false},
		{"PROPFIND", nil, false},
		{"GET", []string{"Origin: https://evil.test", "Sec-Fetch-Site: cross-site"}, true},
		{"GET", []string{"Upgrade: websocket", "Origin: https://evil.test"}, false},
		{"GET", []string{"Upgrade: websocket", "Origin: https://chat.example.test"}, true},
		{"GET", []string{"Upgrade: websocket"}, true},
		{"GET", []string{"Upgrade: websocket", "Sec-Fetch-Site: cross-site"}, false},
	} {
		r := edgetest.Ask(c.method, "/", append(c.headers, "Cookie: "+ada.Cookie)...)
		w, up := edgetest.Serve(t, g, r)
		switch {
		case c.pass:
			if up == nil {
				t.Errorf("%s %q: refused with %d", c.method, c.headers, w.Code)
			}
		default:
			if up != nil {
				t.Errorf("%s %q: passed", c.method, c.headers)
				continue
			}
			edgetest.WantRefusal(t, w, up, 403, "Forbidden: request from another site")
		}
	}
	// A bearer is no cookie: no page can make a browser send it.
	_, up := edgetest.Serve(t, g, edgetest.Ask("POST", "/", "Authorization: Bearer "+ada.Tokens.AccessToken, "Origin: https://evil.test"))
	wantSealed(t, up, ada, ada.Tokens.SessionID)
}

// Of two gates the last decides: placeholders do not name whom its headers
// leave out.
func TestLastGateDecidesPlaceholders(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada, bob := edgetest.NewPerson(t, s, "ada@example.test", "user"), edgetest.NewPerson(t, s, "bob@example.test", "admin")
	first, second := edgetest.Gate(s, new(gate.Gate)), edgetest.Gate(s, &gate.Gate{Optional: true})
	for name, c := range map[string]struct {
		between func(*http.Request)
		want    string
	}{
		"the same":   {func(*http.Request) {}, ada.User.ID},
		"a guest":    {func(r *http.Request) { r.Header.Del("Authorization") }, ""},
		"who is out": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer expired") }, ""},
		"another":    {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bob.Tokens.AccessToken) }, bob.User.ID},
	} {
		reached := false
		_, _ = edgetest.Serve(t, chain{first, c.between, second, func(r *http.Request) {
			reached = true
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			id, _ := repl.GetString("http.auth.user.id")
			if id != c.want || r.Header.Get("X-Mana-User-Id") != c.want {
				t.Errorf("%s: placeholder %q, header %q, want %q", name, id, r.Header.Get("X-Mana-User-Id"), c.want)
			}
		}}, edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken))
		if !reached {
			t.Errorf("%s: the upstream was not reached", name)
		}
	}
}

// chain is two gates, with something done to the request after each.
type chain struct {
	first   *gate.Gate
	between func(*http.Request)
	second  *gate.Gate
	after   func(*http.Request)
}

func (c chain) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return c.first.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		c.between(r)
		return c.second.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			c.after(r)
			return next.ServeHTTP(w, r)
		}))
	}))
}

// Anyone can send a preflight, so the gate answers it in place of the app.
func TestGatePreflight(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	genuine := []string{"Origin: https://todo.example.test", "Access-Control-Request-Method: PUT"}
	w, up := edgetest.Serve(t, g, edgetest.Ask("OPTIONS", "/x", append(genuine, "X-Mana-User-Id: 666", "Access-Control-Request-Headers: content-type,x-a")...))
	if up != nil || w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("of a trusted origin: %d %q, reached the app: %v", w.Code, w.Body, up != nil)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://todo.example.test", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "content-type,x-a", "Access-Control-Max-Age": "600",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, headers := range [][]string{
		{"Origin: https://evil.test", genuine[1]}, {"Origin: null", genuine[1]}, {genuine[0], "Origin: https://evil.test", genuine[1]},
		genuine[:1], genuine[1:], nil, append(genuine, "Authorization: Bearer a.b.c"), append(genuine, "Cookie: a=1"),
	} {
		w, up := edgetest.Serve(t, g, edgetest.Ask("OPTIONS", "/x", headers...))
		if up != nil || w.Code != 401 || w.Header().Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%v: %d, reached the app: %v", headers, w.Code, up != nil)
		}
	}
	_, up = edgetest.Serve(t, g, edgetest.Ask("OPTIONS", "/x", append(genuine, "Cookie: "+ada.Cookie)...))
	wantSealed(t, up, ada, ada.Browser.Session().ID)
	optional := edgetest.Gate(s, &gate.Gate{Optional: true})
	_, up = edgetest.Serve(t, optional, edgetest.Ask("OPTIONS", "/x", append(genuine, "X-Mana-User-Id: 666")...))
	if up == nil || len(sealedOf(up)) > 0 {
		t.Errorf("an optional gate lets it pass as a guest's: %v", up)
	}
}

// Pages of a trusted origin may read what the edge adds to an app's answer, and
// what the app lets them read stays.
func TestGateExposesItsHeaders(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	for origin, want := range map[string]bool{"https://todo.example.test": true, "https://evil.test": false} {
		x := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Origin: "+origin, "Authorization: Bearer "+ada.Tokens.AccessToken),
			edgetest.Answers(200, "Access-Control-Expose-Headers", "X-Total", "Access-Control-Expose-Headers", "retry-after"))
		got := strings.Join(x.Header()["Access-Control-Expose-Headers"], ", ")
		if !strings.HasPrefix(got, "X-Total, retry-after") || strings.Count(strings.ToLower(got), "retry-after") != 1 {
			t.Errorf("%s: the app's own: %q", origin, got)
		}
		for _, name := range []string{"X-RateLimit-Remaining", "Mana-Credits-Cost", "Mana-Credits-Remaining", "Idempotency-Replayed"} {
			if strings.Contains(got, name) != want {
				t.Errorf("%s: %s in %q", origin, name, got)
			}
		}
	}
}

// A browser app on another trusted origin must be able to read the refusal.
func TestGateRefusalIsReadableAcrossOrigins(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	for origin, readable := range map[string]bool{"https://todo.example.test": true, "https://evil.test": false, "null": false} {
		w, _ := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Origin: "+origin, "Authorization: Bearer a.b.c"))
		if got := w.Header().Get("Access-Control-Allow-Origin"); (got == origin) != readable || (!readable && got != "") {
			t.Errorf("%s: %q", origin, got)
		}
	}
}

func TestGateUnavailable(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db)
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
		if _, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", credential)); up == nil {
			t.Fatal("refused while the database was up")
		}
	}
	dead, _, _ := strings.Cut(s.Cookies().Set("abcdefghijklmnopqrstuvwxyzABCDEF", true, time.Hour), ";")
	db.Pool.Close()

	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
		if _, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", credential)); up == nil {
			t.Errorf("what was verified before must keep flowing")
		}
	}
	started := time.Now()
	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Cookie: "+dead, "Sec-Fetch-Mode: cors"))
	edgetest.WantRefusal(t, w, up, 503, "Service unavailable: database connection unavailable")
	if w.Header().Get("Retry-After") == "" || time.Since(started) > 5*time.Second {
		t.Errorf("Retry-After %q after %v", w.Header().Get("Retry-After"), time.Since(started))
	}
	// Nor does an optional gate pass off a user as a guest.
	w, up = edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Optional: true}), edgetest.Ask("GET", "/", "Cookie: "+dead))
	edgetest.WantRefusal(t, w, up, 503, "Service unavailable: database connection unavailable")
}

func TestGateBeforeTheAppStarted(t *testing.T) {
	t.Parallel()
	notYet := func(context.Context) (*authcore.Service, error) { return nil, errors.New("not started") }
	g := edgetest.BindGate(&gate.Gate{}, edgetest.GateBase, notYet)
	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", "Authorization: Bearer a.b.c"))
	edgetest.WantRefusal(t, w, up, 503, "Service unavailable: database connection unavailable")
	g = edgetest.BindGate(&gate.Gate{Optional: true}, edgetest.GateBase, notYet)
	if _, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/")); up == nil {
		t.Error("a guest with nothing to check needs no database")
	}
}

func TestGateFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	err := (&gate.Gate{Optional: true, Roles: []string{"root", "boss"}, Scopes: []string{"a b"}, Login: "maybe"}).Validate()
	for _, want := range []string{`role: "root"`, `role: "boss"`, "optional", `scope: `, `login: "maybe"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	if err := (&gate.Gate{Roles: []string{"user", "admin"}, Login: "never"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestGateRedirectsPageLoadsOnly(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	for _, c := range []struct {
		method   string
		headers  []string
		redirect bool
	}{
		{"GET", []string{"Sec-Fetch-Mode: navigate"}, true},
		{"HEAD", []string{"Sec-Fetch-Mode: navigate"}, true},
		{"POST", []string{"Sec-Fetch-Mode: navigate"}, true},
		{"GET", []string{"Accept: text/html,application/xhtml+xml"}, true},
		{"GET", []string{"Accept: Text/HTML"}, true},
		{"GET", []string{"Sec-Fetch-Mode: navigate", "Authorization: Bearer a.b.c"}, true},
		{"GET", []string{"Accept: text/html", "Authorization: Bearer a.b.c"}, true},
		// pomerium#281, #409, caddy-security#90: no redirect for calls
		{"GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, false},
		{"GET", []string{"Sec-Fetch-Mode: same-origin"}, false},
		{"GET", []string{"Sec-Fetch-Mode: websocket"}, false},
		{"GET", []string{"Accept: application/json"}, false},
		{"GET", []string{"Accept: */*"}, false},
		{"GET", nil, false},
		{"POST", []string{"Accept: text/html"}, false},
		{"GET", []string{"Accept: text/html", "Upgrade: websocket"}, false},
		// a script says so itself, as jQuery, axios and old Angular do
		{"GET", []string{"X-Requested-With: XMLHttpRequest", "Accept: text/html, */*; q=0.01"}, false},
		{"GET", []string{"X-Requested-With: xmlhttprequest", "Sec-Fetch-Mode: navigate", "Accept: text/html"}, false},
		{"GET", []string{"X-Requested-With: com.android.browser", "Accept: text/html"}, true}, // web views name their app
	} {
		w, up := edgetest.Serve(t, g, edgetest.Ask(c.method, "/x", c.headers...))
		if c.redirect {
			if w.Code != 302 || up != nil || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s %q: %d %v", c.method, c.headers, w.Code, w.Header())
			}
			continue
		}
		edgetest.WantRefusal(t, w, up, 401, "No token provided")
	}
	w, up := edgetest.Serve(t, edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{Login: "never"}), edgetest.Ask("GET", "/", "Sec-Fetch-Mode: navigate"))
	edgetest.WantRefusal(t, w, up, 401, "No token provided")
}

// caddy-security#267 to #270: where the redirect leads back to is made of the
// request line and of trusted origins alone.
func TestGateReturnURL(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	for _, c := range []struct {
		target  string
		headers []string
		want    string
	}{
		{edgetest.GateApp + "/a/b?c=d&e=%26", nil, edgetest.GateApp + "/a/b?c=d&e=%26"},
		{edgetest.GateApp + "/", []string{"X-Forwarded-Host: evil.test"}, edgetest.GateApp + "/"},
		{edgetest.GateApp + "/", []string{"Forwarded: host=evil.test;proto=http"}, edgetest.GateApp + "/"},
		{edgetest.GateApp + "/", []string{"Referer: javascript:alert(1)"}, edgetest.GateApp + "/"},
		{"http://chat.example.test/x", []string{"X-Forwarded-Proto: https"}, ""},
		{"https://evil.test/x", nil, ""},
		{"https://chat.example.test.evil.test/x", nil, ""},
		{"https://evil.test/x", []string{"X-Forwarded-Host: chat.example.test"}, ""},
		{edgetest.GateApp + "/x?u=" + strings.Repeat("y", 3000), nil, edgetest.GateApp + "/"},
	} {
		w, _ := edgetest.Serve(t, g, edgetest.Ask("GET", c.target, append(c.headers, "Sec-Fetch-Mode: navigate")...))
		location, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != 302 || location.Scheme+"://"+location.Host+location.Path != edgetest.GateBase+"/login" {
			t.Errorf("%s: %d %v, %v", c.target, w.Code, location, err)
			continue
		}
		if got := location.Query().Get("returnUrl"); got != c.want {
			t.Errorf("%s %q: returnUrl %q, want %q", c.target, c.headers, got, c.want)
		}
	}
}

// The redirect leads back to the URL asked for, not to what handle_path or
// rewrite made of it.
func TestGateReturnURLIsTheClients(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	w := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(edgetest.Ask("GET", "/outer/inner", "Sec-Fetch-Mode: navigate"), caddy.NewReplacer(), w, nil)
	r.URL.Path = "/inner"
	if err := g.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	if location := w.Header().Get("Location"); !strings.Contains(location, url.QueryEscape(edgetest.GateApp+"/outer/inner")) {
		t.Errorf("Location %q", location)
	}
}

func TestGateDetectsLoops(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	dead, _, _ := strings.Cut(s.Cookies().Set("abcdefghijklmnopqrstuvwxyzABCDEF", true, time.Hour), ";")

	jar := ""
	redirects := 0
	for ; redirects < 10; redirects++ {
		w, _ := edgetest.Serve(t, g, edgetest.Ask("GET", "/x?<script>", "Sec-Fetch-Mode: navigate", "Cookie: "+dead+jar))
		set := w.Header().Get("Set-Cookie")
		if w.Code != 302 {
			if w.Code/100 != 4 || !strings.Contains(w.Body.String(), "cookie_domain") || !strings.Contains(set, "Max-Age=0") {
				t.Errorf("%d %q %s", w.Code, set, w.Body)
			}
			if strings.Contains(w.Body.String(), "script>") {
				t.Errorf("the page repeats the URL: %s", w.Body)
			}
			break
		}
		if !strings.HasPrefix(set, "__Host-mana.login_loop=") || !strings.Contains(set, "; Secure") || strings.Contains(set, "Domain") {
			t.Fatalf("Set-Cookie %q", set)
		}
		value, _, _ := strings.Cut(set, ";")
		jar = "; " + value
	}
	if redirects < 2 || redirects > 4 {
		t.Errorf("explained after %d redirects", redirects)
	}
	// Another page is another count, and a session ends the counting.
	w, _ := edgetest.Serve(t, g, edgetest.Ask("GET", "/other", "Sec-Fetch-Mode: navigate", "Cookie: a=1"+jar))
	if w.Code != 302 {
		t.Errorf("another page: %d", w.Code)
	}
	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/x?<script>", "Sec-Fetch-Mode: navigate", "Cookie: "+ada.Cookie+jar))
	if up == nil || !strings.Contains(w.Header().Get("Set-Cookie"), "mana.login_loop=") || up.Header["Cookie"] != nil {
		t.Errorf("signed in: %d, Set-Cookie %q, upstream %v", w.Code, w.Header().Get("Set-Cookie"), up)
	}
	// The gate before the sign-in page itself can only explain.
	w, _ = edgetest.Serve(t, g, edgetest.Ask("GET", edgetest.GateBase+"/login?returnUrl=x", "Sec-Fetch-Mode: navigate"))
	if w.Code != 401 || !strings.Contains(w.Body.String(), "mana_auth") {
		t.Errorf("sign-in page: %d %s", w.Code, w.Body)
	}
}

func TestGateRenewsTheCookie(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db)
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	// Two days into its week the session's end is due to move.
	other := edgetest.GateService(t, db, func(c *authcore.Config) { c.SessionTTL = 10 * 24 * time.Hour })
	w, up := edgetest.Serve(t, edgetest.Gate(other, &gate.Gate{}), edgetest.Ask("GET", "/", "Cookie: "+ada.Cookie))
	wantSealed(t, up, ada, ada.Browser.Session().ID)
	set := w.Header().Values("Set-Cookie")
	if len(set) != 1 || !strings.HasPrefix(set[0], ada.Cookie+";") || !strings.Contains(set[0], "Max-Age=864000;") {
		t.Errorf("Set-Cookie %q", set)
	}
}

// The scheme of the way back is X-Forwarded-Proto's only where the server
// trusts the proxy that says so.
func TestGateForwardedProto(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	for trusted, want := range map[bool]string{true: edgetest.GateApp + "/x", false: ""} {
		w := httptest.NewRecorder()
		r := edgetest.Ask("GET", "http://chat.example.test/x", "Sec-Fetch-Mode: navigate", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test")
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, trusted)
		if err := g.ServeHTTP(w, r, nil); err != nil {
			t.Fatal(err)
		}
		location, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != 302 || location.Query().Get("returnUrl") != want {
			t.Errorf("trusted %v: %d %v, %v", trusted, w.Code, location, err)
		}
	}
}

// caddy-security#275: no path is too odd to be refused in order.
func TestGateOddPaths(t *testing.T) {
	t.Parallel()
	g := edgetest.Gate(edgetest.GateService(t, pgtest.New(t)), &gate.Gate{})
	for path, status := range map[string]int{"": 302, "*": 400, "x": 400, "//evil.test/": 302, "/%00": 302, "/a/../b": 400, `/\evil.test`: 302} {
		r := edgetest.Ask("GET", "/", "Sec-Fetch-Mode: navigate")
		r.URL = &url.URL{Path: path}
		w, _ := edgetest.Serve(t, g, r)
		location, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != status || status == 302 && !strings.HasPrefix(location.Query().Get("returnUrl"), edgetest.GateApp+"/") {
			t.Errorf("%q: %d %v, %v", path, w.Code, location, err)
		}
	}
}
