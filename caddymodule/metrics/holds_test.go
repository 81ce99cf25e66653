package metrics_test

import (
	"fmt"
	"testing"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestHoldGauges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	out, err := edgetest.Operate(t, "", "user", "create", "--email", "ada@example.com", "--json", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edgetest.Operate(t, "", "credits", "grant", "--user", "ada@example.com", "--amount", "5", "--config", file); err != nil {
		t.Fatal(err)
	}
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	for range 2 {
		if _, err := ledger.Hold(t.Context(), creditcore.Hold{
			UserID: edgetest.Decode[struct{ ID string }](t, out).ID, Amount: creditcore.Credits(1), AppID: "a", Operation: "o",
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Pool.Exec(t.Context(), `SET ROLE mana_system; UPDATE credits.holds SET expires_at = now() - interval '3 minutes'
		WHERE id = (SELECT min(id) FROM credits.holds); RESET ROLE`); err != nil {
		t.Fatal(err)
	}
	m := metrics.New()
	err = m.CountHoldsOnce(t.Context(), db.Pool)
	open, leaked := gauge(t, m, "mana_credit_holds_open"), gauge(t, m, "mana_credit_holds_leaked")
	if err != nil || open != 2 || leaked != 1 {
		t.Errorf("open %v, leaked %v, %v", open, leaked, err)
	}
}

// The age of the root tells that one is missing, and nothing before there was one.
func TestRootAge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	m := metrics.New()
	look := func() (age float64, ok bool) {
		t.Helper()
		if err := m.LookAtDatabaseOnce(t.Context(), db.Pool); err != nil {
			t.Fatal(err)
		}
		return sample(t, m, "mana_credit_root_age_seconds")
	}
	if age, ok := look(); ok {
		t.Errorf("an age of %v s without a root", age)
	}
	for _, daysAgo := range []int{4, 3} {
		if _, err := db.Pool.Exec(t.Context(), fmt.Sprintf(`SET ROLE mana_system; INSERT INTO credits.roots (day, made_at, accounts, hash, buckets, statement)
			VALUES ((now() AT TIME ZONE 'UTC')::date - %d, now(), 1, sha256(''), decode(repeat('00', 8192), 'hex'), 's'); RESET ROLE`, daysAgo)); err != nil {
			t.Fatal(err)
		}
		if age, ok := look(); !ok || age < float64(daysAgo-1)*86400 || age > float64(daysAgo)*86400 {
			t.Errorf("a root of %d days ago has an age of %v s", daysAgo, age)
		}
	}
}
