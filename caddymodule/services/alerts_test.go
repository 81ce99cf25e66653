package services_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// What happens to credits is mailed to whom it concerns, in their language and with the
// threshold of the config: not to who does not want to know, and not to addresses that
// nobody has proven.
func TestAlertsByMail(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, mails, address := pgtest.New(t), newMailServer(t), freeport.Address(t)
	app := edgetest.With(edgetest.With(edgetest.With(edgetest.ExternalApp(db), "base_url", "http://"+address), "smtp",
		map[string]any{"host": "127.0.0.1", "port": mails.port, "from": "Mana <noreply@mana.example>"}),
		"credits", map[string]any{"low_balance": "10.5"})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	ledger := edgetest.LiveRuntime(t).Credits
	for _, user := range []string{"ada", "bob", "cyd", "dan", "eve", "fay"} {
		exec(`INSERT INTO auth.users (id, name, email, email_verified) VALUES ($1, $1, $1 || '@example.com', $1 <> 'cyd')`, user)
		exec(`INSERT INTO auth.user_settings (user_id, global_settings) VALUES ($1, CASE $1 WHEN 'bob' THEN '{"notices": {"credits": false}}' WHEN 'fay' THEN '{"notices": {"credits": false}}'
			WHEN 'dan' THEN '{"locale": "en"}' ELSE '{"locale": "de"}' END::jsonb)`, user)
	}
	exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'acme', 'dan', 'owner'), ('m2', 'acme', 'eve', 'member')`)
	for _, user := range []string{"ada", "bob", "cyd", "org:acme"} {
		edgetest.GrantTo(t, ledger, user, creditcore.Credits(12))
	}
	spend := func(d creditcore.Debit) error {
		d.AppID = "chat"
		_, err := ledger.Debit(t.Context(), d)
		return err
	}
	for _, user := range []string{"ada", "bob", "cyd"} {
		if err := spend(creditcore.Debit{UserID: user, Amount: creditcore.Credits(2)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(creditcore.Debit{UserID: "dan", Organization: "acme", Amount: creditcore.Credits(4)}); err != nil {
		t.Fatal(err)
	}
	exec(`INSERT INTO credits.allotments (organization_id, user_id, credits, period) VALUES ('acme', 'eve', 1000, 'day')`)
	if err := spend(creditcore.Debit{UserID: "eve", Organization: "acme", Amount: creditcore.Credits(2)}); err == nil {
		t.Fatal("more than is allotted is spent")
	}
	exec(`INSERT INTO credits.debts (user_id, reference, kind, amount) VALUES ('bob', 'purchase:1', 'incurred', 3000)`)
	// What is about money cannot be switched off.
	exec(`INSERT INTO credits.alerts (account_id, kind, data) VALUES ('fay', 'top_up_confirm', '{"credits": 100, "euroCents": 999}')`)
	for user, want := range map[string][]string{
		"fay": {"automatisch aufgeladen werden: 100 Credits", "9,99", "/account/credits/auto-top-up"},
		"ada": {"Deine Credits gehen zur Neige", "nur noch 10 Credits", "10,5", "/account/credits"},
		"bob": {"3 Credits", "/account/credits"}, // what is owed is always told
		"dan": {"Your credits are running low", "only 8 credits", "10.5", "Acme", "/account/credits?organization=acme"},
		"eve": {"Ein Budget ist aufgebraucht", "Acme", "Es sind 1 Credits", "/account/organizations/acme"},
	} {
		edgetest.Eventually(t, "the mail to "+user+" arrives", func() bool { return len(mails.to(user+"@example.com")) == 1 })
		for _, part := range want {
			if mail := mails.to(user + "@example.com")[0]; !strings.Contains(mail, part) {
				t.Errorf("the mail to %s has no %q: %s", user, part, mail)
			}
		}
	}
	time.Sleep(100 * time.Millisecond)
	for user, want := range map[string]int{"ada": 1, "bob": 1, "cyd": 0, "dan": 1, "eve": 1, "fay": 1} {
		if got := len(mails.to(user + "@example.com")); got != want {
			t.Errorf("%s got %d mails, want %d", user, got, want)
		}
	}
	untold, err := dbscope.Row[struct{ N int64 }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS n FROM credits.alerts WHERE told_at IS NULL`)
	if err != nil || untold.N != 0 {
		t.Errorf("%d alerts wait, %v", untold.N, err)
	}
	// The end of an account takes what it was told with it.
	if err := edgetest.LiveRuntime(t).Auth.DeleteUser(t.Context(), principal.Operator{Name: "test", Reason: "asked to"}, "ada"); err != nil {
		t.Fatal(err)
	}
	left, err := dbscope.Row[struct{ N int64 }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS n FROM credits.alerts WHERE account_id = 'ada'`)
	if err != nil || left.N != 0 {
		t.Errorf("%d are left, %v", left.N, err)
	}
}
