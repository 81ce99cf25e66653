package api_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

const (
	alertsURL   = "/api/v1/credits/alerts"
	settingsURL = alertsURL + "/settings"
)

// Who has an account sets its threshold and sees what was told of it: of an organisation
// its owners and admins. Nobody sees anything of another one, and the export has it all.
func TestAlertRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, _, token := s.person("ada@example.test")
	bob, _, other := s.person("bob@example.test")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'acme', $1, 'owner'), ('m2', 'acme', $2, 'member')`, ada, bob)
	s.grant(ada, 12)
	s.fund("acme", 12)

	s.send("GET", settingsURL, nil).status(401)
	if got := s.send("GET", settingsURL, nil, token).status(200).body; got != `{"lowBalance":null,"defaultLowBalance":null}` {
		t.Errorf("settings: %s", got)
	}
	for body, field := range map[string]string{
		`{"lowBalance":-1}`: "lowBalance", `{"lowBalance":"10"}`: "lowBalance", `{"lowBalance":1e400}`: "lowBalance", `{"lowBalance":9007199254740993}`: "lowBalance",
		`{"lowBalance":[]}`: "lowBalance", `{"low":1}`: "low",
	} {
		if got := s.send("PUT", settingsURL, body, token).status(400); !strings.Contains(got.body, field) {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	if got := s.send("PUT", settingsURL, `{"lowBalance":10.5}`, token).status(200).body; got != `{"lowBalance":10.5,"defaultLowBalance":null}` {
		t.Errorf("after the change: %s", got)
	}
	s.send("PUT", settingsURL, `{"lowBalance":5,"organizationId":"acme"}`, other).status(403)
	s.send("PUT", settingsURL, `{"lowBalance":5,"organizationId":"other"}`, token).status(404)
	s.send("PUT", settingsURL, `{"lowBalance":5,"organizationId":"acme"}`, token).status(200)

	s.spend(ada, creditcore.Debit{Amount: creditcore.Credits(2), AppID: "chat"})
	s.spend(ada, creditcore.Debit{Amount: creditcore.Credits(8), AppID: "chat", Organization: "acme"})
	type alert struct {
		Kind string
		Data map[string]any
	}
	read := func(path string, who header) (list []alert) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.send("GET", path, nil, who).status(200).body), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	low := []alert{{"low", map[string]any{"accountId": ada, "balance": 10., "threshold": 10.5}}}
	if diff := cmp.Diff(low, read(alertsURL, token)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]alert{{"low", map[string]any{"accountId": "org:acme", "balance": 4., "threshold": 5.}}}, read(alertsURL+"?organizationId=acme&limit=999", token)); diff != "" {
		t.Error(diff)
	}
	if got := read(alertsURL, other); len(got) != 0 {
		t.Errorf("another user sees %v", got)
	}
	s.send("GET", alertsURL+"?organizationId=acme", nil, other).status(403)
	var export struct {
		LowBalance   float64
		CreditAlerts []alert
	}
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/me/data/export", nil, token).status(200).body), &export); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(low, export.CreditAlerts); diff != "" || export.LowBalance != 10.5 {
		t.Errorf("the export: %v %s", export.LowBalance, diff)
	}
	if got := s.send("PUT", settingsURL, `{}`, token).status(200).body; got != `{"lowBalance":null,"defaultLowBalance":null}` {
		t.Errorf("taken back: %s", got)
	}
}

// The page of credits has a form for the threshold and shows the alerts.
func TestAlertsOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, cookie, _ := s.person("ada@example.test")
	s.grant(id, 12)
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("Alerts", `name="lowBalance"`, "If empty there is no threshold")
	for _, text := range []string{"-1", "NaN", "1e400", hostile, strings.Repeat("9", 21), "ten"} {
		s.form(creditsPage, url.Values{"lowBalance": {text}}, cookie, in("en")).status(400).wants("Please enter a number of credits")
	}
	if to := s.form(creditsPage, url.Values{"lowBalance": {" 10,5 "}}, cookie).status(303).header.Get("Location"); to != creditsPage+"?done=saved#alerts" {
		t.Errorf("leads to %q", to)
	}
	s.spend(id, creditcore.Debit{Amount: creditcore.Credits(2), AppID: "chat"})
	s.send("GET", creditsPage+"?done=saved", nil, cookie, in("de")).status(200).wants("Gespeichert", `value="10.5"`, "Die Credits gehen zur Neige")
	s.form(creditsPage, url.Values{"lowBalance": {""}}, cookie).status(303)
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants(`name="lowBalance" inputmode="decimal" maxlength="20" autocomplete="off" value=""`)
	s.send("POST", creditsPage, url.Values{"lowBalance": {"1"}}.Encode(), asForm, with("Origin", foreign), cookie).status(403)
	s.form(creditsPage, url.Values{"lowBalance": {"1"}, "organization": {"other"}}, cookie).status(404)
}
