package api_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// proven makes an account whose address is proven, and returns its id and cookie.
func (s *site) proven(email, name string) (id string, cookie header) {
	s.Helper()
	id, _ = s.member(email)
	s.exec(`UPDATE auth.users SET email_verified = true, name = $2 WHERE id = $1`, id, name)
	return id, s.cookie(email)
}

// post sends a form of the hosted pages.
func (s *site) post(path string, cookie header, fields ...string) answer {
	s.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.send("POST", path, form.Encode(), asForm, with("Origin", base), with("Accept-Language", "en"), cookie)
}

func TestOrganizationPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const at = "/account/organizations"
	_, ada := s.proven("ada@example.test", attackText)
	bobID, bob := s.proven("bob@example.test", "Bob")
	_, eve := s.proven("eve@example.test", "Eve")

	if to := s.send("GET", at, nil).status(303).header.Get("Location"); to != "/login?returnUrl="+url.QueryEscape(at) {
		t.Errorf("a guest is led to %s", to)
	}
	s.post(at, ada, "action", "make", "name", "x").status(400)
	s.post(at, ada, "action", "make", "name", attackText).status(303)
	page := s.send("GET", at, nil, ada).status(200)
	_, rest, _ := strings.Cut(page.body, `href="/account/organizations/`)
	id, _, _ := strings.Cut(rest, `"`)
	team := at + "/" + id
	if strings.Contains(page.body, "<script>alert") || !strings.Contains(page.body, "owner") {
		t.Errorf("organizations: %s", page.body)
	}
	for _, path := range []string{team, at + "/nothing"} {
		s.send("GET", path, nil, eve).status(404)
	}
	s.post(team, eve, "action", "invite", "email", "eve@example.test").status(404)
	s.post(team, ada, "action", "invite", "email", "no address").status(400)
	s.post(team, ada, "action", "invite", "email", "Bob@Example.test").status(303)

	access, _ := s.login("ada@example.test")
	var open []struct{ ID string }
	raw := s.send("GET", "/api/v1/auth/organizations/"+id+"/invitations", nil, bearer(access)).status(200).body
	if err := json.Unmarshal([]byte(raw), &open); err != nil || len(open) != 1 {
		t.Fatalf("invitations: %s", raw)
	}
	link := "/accept-invitation?id=" + open[0].ID
	if to := s.send("GET", link, nil).status(303).header.Get("Location"); to != "/login?returnUrl="+url.QueryEscape(link) {
		t.Errorf("a guest with an invitation is led to %s", to)
	}
	for range 2 { // programs that look at mails change nothing
		if got := s.send("GET", link, nil, bob, with("Accept-Language", "de")).status(200); !strings.Contains(got.body, "aus deiner Mail") || len(got.body) > pageLimit {
			t.Errorf("the invitation: %s", got.body)
		}
	}
	s.send("GET", link, nil, eve).status(404)
	s.post(at, eve, "action", "accept", "id", open[0].ID).status(403)
	s.post(at, bob, "action", "accept", "id", open[0].ID).status(303)
	s.post(at, bob, "action", "accept", "id", open[0].ID).status(404)
	if got := s.send("GET", at+"?done=joined", nil, bob).status(200); !strings.Contains(got.body, `role="status"`) || !strings.Contains(got.body, "you act for it") && !strings.Contains(got.body, "du handelst") {
		t.Errorf("joined: %s", got.body)
	}
	if m := s.send("GET", "/api/v1/internal/org/"+id+"/member/"+bobID, nil, asService).status(200).object(); m["member"] != true || m["role"] != "member" {
		t.Errorf("member: %v", m)
	}
	if m := s.send("GET", "/api/v1/internal/org/"+id+"/member/nobody", nil, asService).status(200).object(); m["member"] != false || m["role"] != nil {
		t.Errorf("no member: %v", m)
	}
	if list := s.send("GET", "/api/v1/internal/users/"+bobID+"/memberships", nil, asService).status(200).object()["memberships"].([]any); len(list) != 1 ||
		list[0].(map[string]any)["organizationId"] != id {
		t.Errorf("memberships: %v", list)
	}
	s.send("GET", "/api/v1/internal/org/"+id+"/member/"+bobID, nil).status(401)

	// A member sees the others, and manages nothing.
	if got := s.send("GET", team, nil, bob).status(200); strings.Contains(got.body, `value="invite"`) || strings.Contains(got.body, `value="remove"`) || strings.Contains(got.body, "<script>alert") {
		t.Errorf("a member sees: %s", got.body)
	}
	s.post(team, bob, "action", "rename", "name", "Mine").status(403)
	_, rest, _ = strings.Cut(s.send("GET", team, nil, ada).status(200).body, `name="member" value="`)
	member, _, _ := strings.Cut(rest, `"`)
	s.post(team, ada, "action", "promote", "member", member).status(303)
	bob = s.cookie("bob@example.test")
	s.post(team, bob, "action", "rename", "name", "Teahouse").status(303)
	s.post(team, ada, "action", "leave").status(409)
	s.post(team, bob, "action", "delete").status(403)
	s.post(team, bob, "action", "leave").status(303)
	s.send("GET", team, nil, bob).status(404)

	// Another site's form, and one of a recent proof.
	s.send("POST", team, url.Values{"action": {"delete"}}.Encode(), asForm, with("Origin", "https://evil.example.test"), ada).status(403)
	s.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if to := s.post(team, ada, "action", "delete").status(303).header.Get("Location"); !strings.HasPrefix(to, "/reauthenticate?") {
		t.Errorf("without a recent proof: %s", to)
	}
	s.exec(`UPDATE auth.sessions SET authenticated_at = now()`)
	s.post(team, ada, "action", "delete").status(303)
	s.send("GET", team, nil, ada).status(404)
}
