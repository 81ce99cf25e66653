package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// callerOf is a person as the core knows them.
func callerOf(p edgetest.Person, sessionID string) principal.Caller {
	return principal.Caller{UserID: p.User.ID, Email: p.User.Email, Role: p.User.Role, SessionID: sessionID, Client: edgetest.GateClient}
}

// A gate for an organisation lets those pass who act in it, in one of the roles,
// by token and by cookie, and tells the app. Everybody else is refused, and told
// so on a page; who loses the membership is refused at once.
func TestGateOrganization(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada, bob := edgetest.NewPerson(t, s, "ada@example.test", "user"), edgetest.NewPerson(t, s, "bob@example.test", "user")
	found := func(owner edgetest.Person, name string) organization.Organization {
		t.Helper()
		o, err := s.CreateOrganization(t.Context(), callerOf(owner, ""), organization.New{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	ours, theirs := found(ada, "Ours"), found(bob, "Theirs")
	page := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	bearer := "Authorization: Bearer " + ada.Tokens.AccessToken
	activate := func(id string) {
		t.Helper()
		active, err := s.SetActiveOrganization(t.Context(), callerOf(ada, ada.Tokens.SessionID), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetActiveOrganization(t.Context(), callerOf(ada, ada.Browser.Session().ID), id); err != nil {
			t.Fatal(err)
		}
		bearer = "Authorization: Bearer " + active.AccessToken
	}
	gates := map[string]struct {
		orgs, roles []string
		passes      bool // who owns ours, and acts in it
	}{
		"any":              {[]string{"any"}, nil, true},
		"ours":             {[]string{ours.ID}, nil, true},
		"one of two":       {[]string{theirs.ID, ours.ID}, nil, true},
		"theirs":           {[]string{theirs.ID}, nil, false},
		"owners":           {nil, []string{"owner", "admin"}, true},
		"members":          {nil, []string{"admin", "member"}, false},
		"owners of ours":   {[]string{ours.ID}, []string{"owner"}, true},
		"members of ours":  {[]string{ours.ID}, []string{"member"}, false},
		"owners of theirs": {[]string{theirs.ID}, []string{"owner"}, false},
	}
	try := func(when string, acts bool) {
		t.Helper()
		for name, test := range gates {
			for _, credential := range []string{bearer, "Cookie: " + ada.Cookie} {
				w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Orgs: test.orgs, OrgRoles: test.roles}), edgetest.Ask("GET", "/", credential, "X-Mana-Org-Id: "+theirs.ID, "X-Mana-Org-Role: owner"))
				if acts && test.passes {
					if up == nil {
						t.Errorf("%s, %s, %.10s: refused: %d %s", when, name, credential, w.Code, w.Body)
						continue
					}
					if up.Header.Get("X-Mana-Org-Id") != ours.ID || up.Header.Get("X-Mana-Org-Role") != "owner" {
						t.Errorf("%s, %s: the app is told %v", when, name, sealedOf(up))
					}
					repl := up.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
					if got := repl.ReplaceAll("{http.auth.user.org} {http.auth.user.org_role}", ""); got != ours.ID+" owner" {
						t.Errorf("%s, %s: the placeholders say %q", when, name, got)
					}
					continue
				}
				edgetest.WantRefusal(t, w, up, 403, "Forbidden: this is for members of an organization, or of a role in it")
				if !strings.Contains(w.Body.String(), `"code":"ORG_REQUIRED"`) {
					t.Errorf("%s, %s: %s", when, name, w.Body)
				}
				w, up = edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Orgs: test.orgs, OrgRoles: test.roles}), edgetest.Ask("GET", "/", append(page, credential)...))
				if up != nil || w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "members of an organization") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
					t.Errorf("%s, %s: a page load gets %d %s", when, name, w.Code, w.Body)
				}
			}
		}
	}
	try("in none", false)
	activate(ours.ID)
	try("in ours", true)
	_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Cookie: "+bob.Cookie))
	if up.Header.Get("X-Mana-Org-Id") != "" || up.Header.Get("X-Mana-Org-Role") != "" {
		t.Errorf("who acts in none: %v", sealedOf(up))
	}
	activate("")
	try("in none again", false)
	activate(ours.ID)
	old := bearer
	if err := s.DeleteOrganization(t.Context(), callerOf(ada, ada.Tokens.SessionID), ours.ID); err != nil {
		t.Fatal(err)
	}
	w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", old))
	edgetest.WantRefusal(t, w, up, 401, "Invalid token")
	tokens, err := s.Refresh(t.Context(), edgetest.GateClient, ada.Tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	ada.Tokens = authcore.Tokens{SessionID: tokens.SessionID}
	bearer = "Authorization: Bearer " + tokens.AccessToken
	try("after it was deleted", false)
}

func TestGateOrganizationFaults(t *testing.T) {
	t.Parallel()
	for want, g := range map[string]*gate.Gate{
		"any stands for all":        {Orgs: []string{"any", "o1"}},
		"any stands for all organi": {Orgs: []string{"o1", "any"}},
		`"{env.ORG}" is no id`:      {Orgs: []string{"{env.ORG}"}},
		`"" is no id`:               {Orgs: []string{""}},
		`"a b" is no id`:            {Orgs: []string{"a b"}},
		`"boss" is none of owner`:   {OrgRoles: []string{"owner", "boss"}},
		"have no hold":              {OrgRoles: []string{"owner"}, Optional: true},
		"org, org_role: have no":    {Orgs: []string{"any"}, Off: true},
	} {
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", g, err, want)
		}
	}
	for _, g := range []*gate.Gate{{Orgs: []string{"any"}}, {Orgs: []string{"a-1", "B_2"}, OrgRoles: []string{"owner", "admin", "member"}}} {
		if err := g.Validate(); err != nil {
			t.Errorf("%+v: %v", g, err)
		}
	}
}
