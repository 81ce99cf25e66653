package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSignInSetsTheCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	got := s.send("POST", "/api/auth/sign-in/email", map[string]any{
		"email": "ada@example.test", "password": testPassword, "callbackURL": app + "/home", "unknown": 1,
	}, with("Origin", app)).status(200)
	c := got.session()
	if c == nil || !strings.HasSuffix(c.Raw, "; Max-Age=604800; Domain=.example.test; Path=/; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("cookie: %v", got.header["Set-Cookie"])
	}
	answer := got.object()
	user, _ := answer["user"].(map[string]any)
	if answer["redirect"] != false || answer["url"] != app+"/home" || answer["token"] == "" || user["email"] != "ada@example.test" {
		t.Errorf("answer: %v", answer)
	}
	for _, key := range []string{"id", "email", "name", "image", "emailVerified", "createdAt", "updatedAt"} {
		if _, ok := user[key]; !ok {
			t.Errorf("user has no %s", key)
		}
	}
	cookie := with("Cookie", c.Name+"="+c.Value)
	session := s.send("GET", "/api/auth/get-session", nil, cookie).status(200).object()
	inner, _ := session["session"].(map[string]any)
	if strings.Contains(c.Value, inner["token"].(string)) || strings.Contains(c.Value, answer["token"].(string)) {
		t.Error("the cookie's token is told to scripts")
	}
	if inner["userId"] != user["id"] || session["user"].(map[string]any)["email"] != "ada@example.test" {
		t.Errorf("get-session: %v", session)
	}

	brief := s.send("POST", "/api/auth/sign-in/email", map[string]any{"email": "ada@example.test", "password": testPassword, "rememberMe": false}).status(200)
	if c := brief.session(); c == nil || strings.Contains(c.Raw, "Max-Age") {
		t.Errorf("a session not to be remembered: %v", brief.header["Set-Cookie"])
	}
}

// Two users' sessions in one browser are told of, not chosen from.
func TestSessionsOfTwoUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	s.register("eve@example.test")
	value := func(email string) string {
		h := http.Header{}
		s.cookie(email)(h)
		return h.Get("Cookie")
	}
	both := with("Cookie", value("eve@example.test")+"; "+value("ada@example.test"))
	if got := s.send("GET", "/api/auth/get-session", nil, both).status(409); got.text("code") != "SESSION_CONFLICT" {
		t.Errorf("get-session: %s", got.body)
	}
	if got := s.send("POST", "/api/v1/auth/session-to-token", nil, both, with("Origin", app)).status(409); got.text("code") != "SESSION_CONFLICT" {
		t.Errorf("session-to-token: %s", got.body)
	}
	for _, path := range []string{"/login", "/account"} {
		if got := s.send("GET", path, nil, both).status(409); !strings.Contains(got.body, "Two accounts are signed in") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	s.send("POST", "/api/auth/sign-out", nil, both, with("Origin", app)).status(200)
	if got := s.send("GET", "/api/auth/get-session", nil, both).status(200); got.body != "null" {
		t.Errorf("after signing both out: %s", got.body)
	}
}

func TestSignInErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	good := map[string]any{"email": "ada@example.test", "password": testPassword}
	for _, tt := range []struct {
		name    string
		content any
		headers []header
		status  int
		want    map[string]any
	}{
		{"wrong password", map[string]any{"email": "ada@example.test", "password": "x"}, nil, 401,
			map[string]any{"message": "Invalid email or password", "code": "INVALID_EMAIL_OR_PASSWORD"}},
		{"no address", map[string]any{"email": "nope", "password": "x"}, nil, 400,
			map[string]any{"message": "Invalid email", "code": "INVALID_EMAIL"}},
		{"missing", map[string]any{"email": "ada@example.test"}, nil, 400,
			map[string]any{"message": "[body.password] Invalid input: password must be a string", "code": "VALIDATION_ERROR"}},
		{"foreign origin", good, []header{with("Origin", foreign)}, 403,
			map[string]any{"message": "Invalid origin", "code": "INVALID_ORIGIN"}},
		{"null origin", good, []header{with("Origin", "null")}, 403,
			map[string]any{"message": "Missing or null Origin", "code": "MISSING_OR_NULL_ORIGIN"}},
		{"cookie without origin", good, []header{with("Cookie", "a=b")}, 403,
			map[string]any{"message": "Missing or null Origin", "code": "MISSING_OR_NULL_ORIGIN"}},
		{"browser without origin", good, []header{with("Sec-Fetch-Mode", "navigate")}, 403,
			map[string]any{"message": "Missing or null Origin", "code": "MISSING_OR_NULL_ORIGIN"}},
		{"foreign callback", map[string]any{"email": "ada@example.test", "password": testPassword, "callbackURL": foreign}, nil, 403,
			map[string]any{"message": "Invalid callbackURL", "code": "INVALID_CALLBACKURL"}},
	} {
		got := s.send("POST", "/api/auth/sign-in/email", tt.content, tt.headers...).status(tt.status)
		tt.want["error"] = strings.TrimSuffix(tt.want["code"].(string), "_ERROR")
		if diff := cmp.Diff(tt.want, got.object()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if got.session() != nil {
			t.Errorf("%s: a cookie was set", tt.name)
		}
	}
	s.send("POST", "/api/auth/sign-in/email", good).status(200)
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	access := s.send("POST", "/api/v1/auth/session-to-token", nil, cookie, with("Origin", app), bearer("stale")).status(200).text("accessToken")
	s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(200)

	s.send("POST", "/api/auth/sign-out", nil, cookie).status(403)
	s.send("POST", "/api/auth/sign-out", nil, cookie, with("Origin", foreign)).status(403)
	s.send("POST", "/api/v1/auth/session-to-token", nil, cookie).status(403)
	s.send("POST", "/api/v1/auth/session-to-token", nil, cookie, with("Origin", foreign)).status(403)
	s.send("POST", "/api/v1/auth/session-to-token", nil).status(401).message("No session cookie found")

	got := s.send("POST", "/api/auth/sign-out", nil, cookie, with("Origin", app)).status(200)
	if diff := cmp.Diff(map[string]any{"success": true}, got.object()); diff != "" {
		t.Error(diff)
	}
	if c := got.session(); c == nil || c.Value != "" || c.MaxAge >= 0 || c.Domain != ".example.test" {
		t.Errorf("not cleared: %v", got.header["Set-Cookie"])
	}
	if got := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); got.body != "null" {
		t.Errorf("session goes on: %s", got.body)
	}
	s.send("POST", "/api/v1/auth/session-to-token", nil, cookie, with("Origin", app)).status(401).message("Invalid or expired session")
	s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(401)
	s.send("POST", "/api/auth/sign-out", nil).status(200)
}

// TestExchangesAreApart checks that each app gets a refresh family of its own.
func TestExchangesAreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	exchange := func(origin string) string {
		return s.send("POST", "/api/v1/auth/session-to-token", "", cookie, with("Origin", origin)).status(200).text("refreshToken")
	}
	one, two := exchange(app), exchange("https://notes.example.test")
	if one == two {
		t.Fatal("two apps share a refresh token")
	}
	s.send("POST", "/api/v1/auth/logout", map[string]any{"refreshToken": one, "scope": "app"}).status(200)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": one}).status(401)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": two}).status(200)
}

// TestGetSessionRenewsTheCookie moves the session's end near and expects the
// cookie again.
func TestGetSessionRenewsTheCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	age := func() {
		t.Helper()
		tx, err := s.db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			`SET LOCAL ROLE mana_system`,
			`UPDATE auth.sessions SET expires_at = now() + interval '3 days'`,
		} {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	age()
	first := s.send("GET", "/api/auth/get-session", nil, cookie).status(200)
	if c := first.session(); c == nil || c.MaxAge != 604800 {
		t.Errorf("not renewed: %v", first.header["Set-Cookie"])
	}
	if again := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); again.session() != nil {
		t.Error("renewed twice")
	}
}
