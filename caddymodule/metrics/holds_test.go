package metrics_test

import (
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
