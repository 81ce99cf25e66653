package api_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegisterLoginAndProfile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.send("POST", "/api/v1/auth/register", map[string]any{
		"email": "Ada@Example.test", "password": testPassword, "referralCode": "FRIEND",
		"sourceAppUrl": "http://localhost:5173", "sourceAppId": 7,
	}).status(201).object()
	user, _ := got["user"].(map[string]any)
	id, _ := user["id"].(string)
	if diff := cmp.Diff(map[string]any{"id": id, "email": "ada@example.test", "name": "", "emailVerified": false}, user); diff != "" || id == "" || len(got) != 1 {
		t.Errorf("registered (-want +got):\n%s%v", diff, got)
	}
	s.send("POST", "/api/v1/auth/register", map[string]any{"email": "ADA@example.test", "password": testPassword}).
		status(409).message("User with this email already exists")

	got = s.send("POST", "/api/v1/auth/login", map[string]any{
		"email": "ada@example.test", "password": testPassword, "deviceId": "d1", "deviceName": "Laptop",
	}).status(200).object()
	access, _ := got["accessToken"].(string)
	want := map[string]any{
		"user":        map[string]any{"id": id, "email": "ada@example.test", "name": "", "role": "user"},
		"accessToken": access, "refreshToken": got["refreshToken"], "expiresIn": 900.0, "tokenType": "Bearer",
	}
	if diff := cmp.Diff(want, got); diff != "" || strings.Count(access, ".") != 2 {
		t.Errorf("signed in (-want +got):\n%s", diff)
	}
	s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": "no"}).
		status(401).message("Invalid email or password")

	got = s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(200).object()
	createdAt, _ := got["createdAt"].(string)
	want = map[string]any{"id": id, "name": "", "email": "ada@example.test", "emailVerified": false, "role": "user", "createdAt": createdAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(createdAt) {
		t.Errorf("createdAt %q has no milliseconds in UTC", createdAt)
	}
	got = s.send("POST", "/api/v1/auth/profile", map[string]any{"name": "Ada", "image": "example.test/a.png"}, bearer(access)).status(200).object()
	want = map[string]any{"success": true, "user": map[string]any{"id": id, "name": "Ada", "email": "ada@example.test", "image": "example.test/a.png"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changed profile (-want +got):\n%s", diff)
	}
	for _, local := range []string{"http://localhost:9000/manacore-storage/avatars/a.png", "http://LOCALHOST/a.png"} {
		got := s.send("POST", "/api/v1/auth/profile", map[string]any{"image": local}, bearer(access)).status(200).object()
		if u, _ := got["user"].(map[string]any); u["image"] != local {
			t.Errorf("the picture in storage on this machine: %v", got)
		}
	}
	s.send("POST", "/api/v1/auth/profile", map[string]any{"name": nil, "image": nil}, bearer(access)).status(200)
}

func TestSessionCarriesTheTokensSid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, _ := s.login("ada@example.test")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ SID string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	got := s.send("GET", "/api/v1/auth/session", nil, bearer(access)).status(200).object()
	session, _ := got["session"].(map[string]any)
	user, _ := got["user"].(map[string]any)
	if session["id"] != claims.SID || claims.SID == "" || session["userId"] != user["id"] || user["role"] != "user" {
		t.Errorf("session %v of token %s", got, payload)
	}
	for _, key := range []string{"token", "expiresAt", "createdAt", "updatedAt", "ipAddress", "userAgent"} {
		if _, ok := session[key]; !ok {
			t.Errorf("session has no %s", key)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	_, first := s.login("ada@example.test")
	got := s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": first}).status(200).object()
	if got["tokenType"] != "Bearer" || got["expiresIn"] != 900.0 || got["refreshToken"] == first || got["accessToken"] == "" {
		t.Errorf("refreshed: %v", got)
	}
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": "mrt_nonsense"}).status(401).message("Invalid refresh token")
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": 12}).status(401).message("Invalid refresh token")
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": []int{1}}).status(400).message("refreshToken must be a string")
	s.send("POST", "/api/v1/auth/refresh", nil).status(400).message("refreshToken must be a string")
}

func TestLogoutAlwaysSucceedsAndEndsTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	ended := func(access string) {
		t.Helper()
		s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(401).message("Invalid token")
		got := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": access}).status(200).object()
		if text, _ := got["error"].(string); got["valid"] != false || !strings.Contains(strings.ToLower(text), "invalid token") {
			t.Errorf("validate after logout: %v", got)
		}
	}
	done := map[string]any{"success": true, "message": "Signed out successfully"}

	access, refresh := s.login("ada@example.test")
	got := s.send("POST", "/api/v1/auth/logout", map[string]any{"refreshToken": refresh}).status(200).object()
	if diff := cmp.Diff(done, got); diff != "" {
		t.Error(diff)
	}
	ended(access)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(401).message("Invalid refresh token")

	access, refresh = s.login("ada@example.test")
	s.send("POST", "/api/v1/auth/logout", nil, bearer(access)).status(200)
	ended(access)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(401)

	for _, content := range []any{nil, "{", "[]", `{"refreshToken":7}`, `{"other":true}`, `{"refreshToken":"\u0000"}`, strings.Repeat("x", 200<<10)} {
		s.send("POST", "/api/v1/auth/logout", content, bearer("nonsense")).status(200)
	}

	// An app that asks to end alone leaves the browser signed in, also where the
	// cookie comes along; without that word it is one sign-out.
	browser := s.cookie("ada@example.test")
	access, _ = s.send("POST", "/api/v1/auth/session-to-token", nil, browser, with("Origin", app)).status(200).object()["accessToken"].(string)
	s.send("POST", "/api/v1/auth/logout", map[string]any{"scope": "app"}, bearer(access), browser).status(200)
	ended(access)
	access, _ = s.send("POST", "/api/v1/auth/session-to-token", nil, browser, with("Origin", app)).status(200).object()["accessToken"].(string)
	s.send("POST", "/api/v1/auth/logout", nil, bearer(access)).status(200)
	ended(access)
	s.send("POST", "/api/v1/auth/session-to-token", nil, browser, with("Origin", app)).status(401)

	cookie := s.cookie("ada@example.test")
	s.send("POST", "/api/v1/auth/logout", nil, cookie, with("Origin", foreign)).status(200)
	if got := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); got.body == "null" {
		t.Error("a foreign site ended the SSO session")
	}
	out := s.send("POST", "/api/v1/auth/logout", nil, cookie, with("Origin", app)).status(200)
	if c := out.session(); c == nil || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("the cookie was not cleared: %v", out.header["Set-Cookie"])
	}
	if got := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); got.body != "null" {
		t.Errorf("the SSO session goes on: %s", got.body)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, _ := s.login("ada@example.test")
	got := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": access, "other": 1}).status(200).object()
	payload, _ := got["payload"].(map[string]any)
	for _, claim := range []string{"sub", "email", "email_verified", "role", "sid", "iss", "aud", "exp", "iat", "jti", "auth_epoch"} {
		if payload[claim] == nil || payload[claim] == "" {
			t.Errorf("payload has no %s: %v", claim, payload)
		}
	}
	if got["valid"] != true || payload["iss"] != base || payload["aud"] != "manacore" {
		t.Errorf("valid token: %v", got)
	}
	for _, tt := range []struct {
		name    string
		content any
		error   string
	}{
		{"none", nil, "No token provided"},
		{"malformed", "{", "No token provided"},
		{"array", "[]", "No token provided"},
		{"number", `{"token":{}}`, "No token provided"},
		{"null", `{"token":null}`, "No token provided"},
		{"too large", `{"token":"` + strings.Repeat("a", 200<<10) + `"}`, "No token provided"},
		{"nonsense", `{"token":"a.b"}`, "Invalid token: Invalid Compact JWS"},
	} {
		got := s.send("POST", "/api/v1/auth/validate", tt.content).status(200).object()
		if diff := cmp.Diff(map[string]any{"valid": false, "error": tt.error}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestJWKSOnThreePaths(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := s.send("GET", "/api/v1/auth/jwks", nil).status(200)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(want.body), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v: %s", err, want.body)
	}
	for _, k := range set.Keys {
		if k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["use"] != "sig" || k["d"] != nil {
			t.Errorf("key %v", k)
		}
	}
	for _, path := range []string{"/api/auth/jwks", "/api/oidc/jwks"} {
		if got := s.send("GET", path, nil).status(200); got.body != want.body {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

func TestBearerGuard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, row := range []struct {
		value, text, code, challenge string
	}{
		{"", "No token provided", "NO_TOKEN", "Bearer"},
		{"bearer x", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer ", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer a b", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer a,b", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer a\x7f", "No token provided", "NO_TOKEN", "Bearer"},
		{"Basic x", "No token provided", "NO_TOKEN", "Bearer"},
		{"Bearer x", "Invalid token", "INVALID_TOKEN", `Bearer error="invalid_token"`},
		{"Bearer a.b.c", "Invalid token", "INVALID_TOKEN", `Bearer error="invalid_token"`},
	} {
		var headers []header
		if row.value != "" {
			headers = append(headers, with("Authorization", row.value))
		}
		got := s.send("GET", "/api/v1/auth/profile?secret=1", nil, headers...).status(401).message(row.text)
		if got.text("path") != "/api/v1/auth/profile" {
			t.Errorf("path %q", got.text("path"))
		}
		if got.text("code") != row.code || got.text("error") != row.code {
			t.Errorf("%q: code %q, error %q", row.value, got.text("code"), got.text("error"))
		}
		if challenge := got.header.Get("WWW-Authenticate"); challenge != row.challenge {
			t.Errorf("%q: challenge %q", row.value, challenge)
		}
	}
}

func TestChangePasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	mine, _ := s.login("ada@example.test")
	other, _ := s.login("ada@example.test")
	change := func(current, next string) answer {
		return s.send("POST", "/api/v1/auth/change-password", map[string]any{"currentPassword": current, "newPassword": next}, bearer(mine))
	}
	wrong := change("wrong", "another fine phrase").status(401).message("Current password is incorrect")
	for _, phrase := range []string{"invalid token", "jwt expired", "token expired", "claim"} {
		if strings.Contains(strings.ToLower(wrong.body), phrase) {
			t.Errorf("a wrong password says %q, on which clients refresh", phrase)
		}
	}
	change(testPassword, "password123").status(400).message("newPassword is too common")
	change("", "").status(400).message("currentPassword must be longer than or equal to 1 characters",
		"newPassword must be longer than or equal to 8 characters")
	got := change(testPassword, "another fine phrase").status(200).object()
	if diff := cmp.Diff(map[string]any{"success": true, "message": "Password changed successfully"}, got); diff != "" {
		t.Error(diff)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(mine)).status(200)
	s.send("GET", "/api/v1/auth/profile", nil, bearer(other)).status(401)
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, refresh := s.login("ada@example.test")
	s.send("DELETE", "/api/v1/auth/account", map[string]any{"password": "wrong"}, bearer(access)).status(401).message("Password is incorrect")
	s.send("DELETE", "/api/v1/auth/account", nil, bearer(access)).status(400).
		message("password must be longer than or equal to 1 characters", "password must be a string")
	got := s.send("DELETE", "/api/v1/auth/account", map[string]any{"password": testPassword, "reason": "bye"}, bearer(access)).status(200).object()
	if diff := cmp.Diff(map[string]any{"success": true, "message": "Account has been deleted"}, got); diff != "" {
		t.Error(diff)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(401)
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(401)
	s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword}).status(401)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	s.register("eve@example.test")
	mine, _ := s.login("ada@example.test")
	other, _ := s.login("ada@example.test")
	third, _ := s.login("ada@example.test")
	eve, _ := s.login("eve@example.test")
	list := func(token string) (sessions []map[string]any) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/auth/sessions", nil, bearer(token)).status(200).body), &sessions); err != nil {
			t.Fatal(err)
		}
		return sessions
	}
	all := list(mine)
	if len(all) != 3 {
		t.Fatalf("%d sessions", len(all))
	}
	current := slices.IndexFunc(list(other), func(d map[string]any) bool { return d["current"] == true })
	otherID, _ := list(other)[current]["id"].(string)
	for _, key := range []string{"ipAddress", "userAgent", "lastActivityAt", "deviceName", "createdAt", "expiresAt", "kind"} {
		if _, ok := all[0][key]; !ok {
			t.Errorf("a session has no %s", key)
		}
	}
	s.send("DELETE", "/api/v1/auth/sessions/"+otherID, nil, bearer(eve)).status(404).message("Session not found")
	s.send("DELETE", "/api/v1/auth/sessions/"+otherID, nil, bearer(mine)).status(200)
	s.send("DELETE", "/api/v1/auth/sessions/"+otherID, nil, bearer(mine)).status(404)
	s.send("DELETE", "/api/v1/auth/sessions/"+strings.Repeat("x", 65), nil, bearer(mine)).status(400).
		message("id must be shorter than or equal to 64 characters")
	s.send("DELETE", "/api/v1/auth/sessions/%00", nil, bearer(mine)).status(400).message("id must not contain NUL characters")
	s.send("GET", "/api/v1/auth/profile", nil, bearer(other)).status(401)
	if got := s.send("DELETE", "/api/v1/auth/sessions", nil, bearer(mine)).status(200).object(); got["revoked"] != 1.0 {
		t.Errorf("revoked others: %v", got)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(third)).status(401)
	s.send("GET", "/api/v1/auth/profile", nil, bearer(mine)).status(200)
	s.send("GET", "/api/v1/auth/profile", nil, bearer(eve)).status(200)
}
