package api_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// admin makes an account with the role, and gives its id and token.
func (s *site) admin(email string) (id string, token header) {
	s.Helper()
	id, _ = s.member(email)
	s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, id)
	access, _ := s.login(email)
	return id, bearer(access)
}

func TestAdminRoutesAreForAdmins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, member := s.member("ada@example.test")
	boss, admin := s.admin("boss@example.test")
	for _, prefix := range []string{"/api/v1/admin", "/api/v1/api/v1/admin"} {
		for _, route := range []struct{ method, path string }{
			{"GET", "/users"}, {"GET", "/users/" + id + "/data"}, {"DELETE", "/users/" + id + "/data"},
		} {
			s.send(route.method, prefix+route.path, nil).status(401).message("Missing authorization token")
			s.send(route.method, prefix+route.path, nil, bearer("a.b.c")).status(401).message("Invalid token")
			s.send(route.method, prefix+route.path, nil, member).status(403).message("Admin access required")
			s.send(route.method, prefix+route.path, nil, asService).status(401)
		}
	}
	for _, route := range []struct{ method, path string }{
		{"PATCH", ""}, {"GET", "/security-events"}, {"DELETE", "/sessions"}, {"POST", "/reset-factor"},
	} {
		s.send(route.method, "/api/v1/admin/users/"+id+route.path, map[string]any{"reason": "because"}, member).status(403)
	}
	if u := s.send("GET", "/api/v1/admin/users?limit=1&page=2", nil, admin).status(200).object(); u["total"] != 2.0 || u["page"] != 2.0 || u["limit"] != 1.0 ||
		u["users"].([]any)[0].(map[string]any)["id"] != id {
		t.Errorf("second page: %v", u)
	}
	found := s.send("GET", "/api/v1/admin/users?search=BOSS", nil, admin).status(200).object()["users"].([]any)
	if len(found) != 1 || found[0].(map[string]any)["id"] != boss || found[0].(map[string]any)["lastActiveAt"] == nil {
		t.Errorf("found: %v", found)
	}
	s.send("GET", "/api/v1/admin/users?limit=100000&page=0", nil, admin).status(200)
}

func TestAdminSeesAndDeletesData(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, member := s.member("ada@example.test")
	boss, admin := s.admin("boss@example.test")
	s.grant(id, 5)
	got := s.send("GET", "/api/v1/api/v1/admin/users/"+id+"/data", nil, admin).status(200).object()
	if got["user"].(map[string]any)["email"] != "ada@example.test" || got["credits"].(map[string]any)["balance"] != 5.0 {
		t.Errorf("data: %v", got)
	}
	s.send("GET", "/api/v1/admin/users/nobody/data", nil, admin).status(404).message("User nobody not found")
	s.send("GET", "/api/v1/admin/users/ada@example.test/data", nil, admin).status(404)
	s.send("DELETE", "/api/v1/admin/users/"+boss+"/data", nil, admin).status(409)
	s.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = $1`, boss)
	s.send("DELETE", "/api/v1/admin/users/"+id+"/data", nil, admin).status(403).message("Recent authentication required")
	s.exec(`UPDATE auth.sessions SET authenticated_at = now() WHERE user_id = $1`, boss)
	s.send("DELETE", "/api/v1/admin/users/"+id+"/data", map[string]any{"reason": "asked by letter"}, admin).status(200)
	s.send("GET", "/api/v1/auth/profile", nil, member).status(401)
	s.send("GET", "/api/v1/admin/users/"+id+"/data", nil, admin).status(404)
	s.wantAdminAction(admin, "data_viewed", id, "")
	s.wantAdminAction(admin, "account_deleted", id, "asked by letter")
}

// wantAdminAction fails unless the admin's own events say what they did.
func (s *site) wantAdminAction(admin header, action, userID, reason string) {
	s.Helper()
	var events []struct {
		EventType string
		Metadata  map[string]any
		UserAgent string
	}
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/auth/security-events?limit=200", nil, admin).status(200).body), &events); err != nil {
		s.Fatal(err)
	}
	for _, e := range events {
		if e.EventType == "admin_action" && e.Metadata["action"] == action && e.Metadata["userId"] == userID {
			if told, _ := e.Metadata["reason"].(string); told != reason || e.UserAgent != "Test/1.0" {
				s.Errorf("%s: %+v", action, e)
			}
			return
		}
	}
	s.Errorf("%s of %s is not recorded: %+v", action, userID, events)
}

func TestAdminChangesAccounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, member := s.member("ada@example.test")
	boss, admin := s.admin("boss@example.test")
	url := "/api/v1/admin/users/" + id
	s.send("PATCH", url, map[string]any{"role": "admin"}, admin).status(400)
	s.send("PATCH", url, map[string]any{"role": "emperor", "reason": "why not"}, admin).status(400)
	s.send("PATCH", "/api/v1/admin/users/"+boss, map[string]any{"role": "user", "reason": "tired"}, admin).status(409)
	s.send("PATCH", "/api/v1/admin/users/nobody", map[string]any{"role": "user", "reason": "tired"}, admin).status(404)
	if u := s.send("PATCH", url, map[string]any{"role": "admin", "reason": "new colleague"}, admin).status(200).object(); u["role"] != "admin" {
		t.Errorf("changed: %v", u)
	}
	s.send("GET", "/api/v1/auth/profile", nil, member).status(401) // says the old role
	if u := s.send("PATCH", url, map[string]any{"disabled": true, "reason": "left"}, admin).status(200).object(); u["disabled"] != true {
		t.Errorf("changed: %v", u)
	}
	s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword}).status(401)
	s.send("PATCH", url, map[string]any{"disabled": false, "reason": "is back"}, admin).status(200)
	access, _ := s.login("ada@example.test")
	if n := s.send("DELETE", url+"/sessions", map[string]any{"reason": "lost phone"}, admin).status(200).object()["sessions"]; n != 1.0 {
		t.Errorf("ended: %v", n)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(401)
	s.send("POST", url+"/reset-factor", map[string]any{"reason": "lost phone"}, admin).status(400).message("Two-factor authentication is not enabled")
	events := s.send("GET", url+"/security-events", nil, admin).status(200).body
	for _, want := range []string{`"role_changed"`, `"account_disabled"`, `"account_enabled"`, `"session_revoked"`, `"new colleague"`, `"admin:` + boss + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("events lack %s: %s", want, events)
		}
	}
	s.wantAdminAction(admin, "role_changed", id, "new colleague")
	s.wantAdminAction(admin, "session_revoked", id, "lost phone")
}
