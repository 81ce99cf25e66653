package api_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The desk lists what the owners of accounts were told, with its numbers in words, by kind
// and account, and says on the overview how much of it is serious.
func TestDeskListsAlerts(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	o.exec(`DELETE FROM credits.alerts`)
	org := "org:" + o.organization
	tell := func(account string, member any, kind, data, age string) {
		t.Helper()
		o.exec(`INSERT INTO credits.alerts (account_id, user_id, kind, data, created_at) VALUES ($1, $2, $3, $4::text::jsonb, now() - $5::text::interval)`, account, member, kind, data, age)
	}
	tell(o.userID, nil, "low", `{"accountId":"x","balance":9.5,"threshold":10}`, "1 minute")
	tell(o.userID, nil, "exhausted", `{"balance":2,"required":5}`, "2 minutes")
	tell(o.userID, nil, "expiring", `{"credits":40,"expiresAt":"2030-01-31T00:00:00Z"}`, "3 minutes")
	tell(o.userID, nil, "top_up_failed", `{"credits":100,"euroCents":999}`, "4 minutes")
	tell(o.userID, nil, "top_up_off", `{"reason":"declined"}`, "5 minutes")
	tell(o.userID, nil, "top_up_off", `{"reason":"card"}`, "8 days")
	tell(org, o.userID, "budget", `{"keyId":"k1","budget":50,"period":"month"}`, "6 minutes")
	tell(org, nil, "top_up_capped", `{"spentEuroCents":1998,"capEuroCents":2000}`, "7 minutes")
	tell("org:gone", nil, "debt", `{"credits":40}`, "8 minutes")
	tell(o.ownerID, nil, "renewal_failed", `{"planId":"pro","balance":["of another version"]}`, "9 minutes")

	markup := regexp.MustCompile(`<[^>]*>`)
	rows := func(query, language string) string {
		t.Helper()
		page := o.send("GET", "/admin/alerts"+query, nil, o.support, in(language)).status(200).wants().body
		_, table, _ := strings.Cut(page, "<tbody")
		table, _, _ = strings.Cut(table, "</table>")
		return markup.ReplaceAllString(table, " ")
	}
	for _, c := range []struct {
		query string
		want  []string // in this order
		lacks string
	}{
		{"", []string{
			"running low", "ada@example.test", "Balance:  9.5", "Threshold:  10", "not enough credits", "Needed:  5", "Credits:  40", "First end:", "31 Jan 2030",
			"card of the top-up was declined", "Price:  €9.99", "switched itself off", "Reason: ", "A budget is spent", "plain", "Budget:  50", "Period: a month", "Key:  k1", "ada@example.test",
			"monthly limit", "€20.00", "Money was taken back", "gone", "payment of the subscription", "owner@example.test", "of another version", "switched itself off",
		}, "alert."},
		{"?kind=top_up_off", []string{"switched itself off", "switched itself off"}, "declined."},
		{"?user=ADA@example.test", []string{"running low", "switched itself off"}, "budget"},
		{"?org=" + o.organization, []string{"A budget is spent", "monthly limit"}, "running low"},
		{"?user=ada@example.test&org=" + o.organization, []string{"A budget is spent"}, "monthly limit"},
		{"?kind=debt&user=" + o.userID, nil, "Money"},
		{"?user=nobody@example.test", nil, "running low"},
		{"?kind=" + url.QueryEscape(`x' OR true`), nil, "running low"},
	} {
		got := rows(c.query, "en")
		at := 0
		for _, want := range c.want {
			i := strings.Index(got[at:], want)
			if i < 0 {
				t.Fatalf("%q lacks %q after %d: %s", c.query, want, at, got)
			}
			at += i + len(want)
		}
		if strings.Contains(got, c.lacks) {
			t.Errorf("%q has %q: %s", c.query, c.lacks, got)
		}
	}
	if got := rows("", "de"); !strings.Contains(got, "Die Credits gehen zur Neige.") || !strings.Contains(got, "Guthaben:  9,5") || !strings.Contains(got, "im Monat") {
		t.Errorf("in German: %s", got)
	}
	list := o.send("GET", "/admin/alerts?kind=debt", nil, o.boss, in("en")).status(200).wants(
		`<option value="debt" selected>Money was taken back, and credits are owed.</option>`, `data-label="Account">gone</td>`)
	list.lacks(`href="/admin/users/org`)
	o.send("GET", "/admin/alerts", nil, o.boss).wants(`<a href="/admin/organizations/`+o.organization+`">plain</a>`, `<a href="/admin/users/`+o.userID+`">ada@example.test</a>`)
	o.send("GET", "/admin/ledger/"+o.userID, nil, o.boss).wants(`href="/admin/alerts?user=` + o.userID + `"`)

	week := o.send("GET", "/admin", nil, o.boss, in("en")).status(200).wants("Alerts in 7 days")
	for label, link := range map[string]string{
		"Debts": `<a href="/admin/alerts?kind=debt">1</a>`, "Renewals not paid": `<a href="/admin/alerts?kind=renewal_failed">1</a>`,
		"Cards declined": `<a href="/admin/alerts?kind=top_up_failed">1</a>`, "Top-ups switched off": `<a href="/admin/alerts?kind=top_up_off">1</a>`,
	} {
		week.wants(label + ": " + link)
	}
	o.exec(`DELETE FROM credits.alerts WHERE kind = 'debt'`)
	o.exec(`INSERT INTO credits.alerts (account_id, kind, data) SELECT 'u' || i, 'top_up_failed', '{}' FROM generate_series(1, 1200) AS i`)
	o.send("GET", "/admin", nil, o.boss, in("de")).status(200).wants("Schulden: <a href=\"/admin/alerts?kind=debt\">0</a>", `kind=top_up_failed">1000&#43;</a>`)
}
