package command_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

type verifiedJSON struct {
	Accounts, Rows, Roots, Found int
	Breaches                     []struct {
		Kind, Account, ID, Detail string
		Sequence                  int
	}
}

// An operator verifies the ledger, and a row that a superuser altered is named.
func TestCreditsVerify(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	run := func(args ...string) (string, error) {
		t.Helper()
		return edgetest.Operate(t, "", append(args, "--config", file)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(append(args, "--json")...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	ada := edgetest.Decode[accountJSON](t, must("user", "create", "--email", "ada@example.com"))
	for range 3 {
		must("credits", "grant", "--user", ada.ID, "--amount", "5")
	}
	if got := edgetest.Decode[verifiedJSON](t, must("credits", "verify")); got.Rows != 3 || got.Accounts != 1 || got.Found != 0 {
		t.Errorf("a sound ledger: %+v", got)
	}
	db.Tamper(t, `UPDATE credits.transactions SET description = 'Thanks' WHERE user_id = $1 AND sequence = 2`, ada.ID)
	for _, args := range [][]string{{"credits", "verify"}, {"credits", "verify", "--user", "ada@example.com"}, {"credits", "verify", "--since", time.Now().Format(time.DateOnly)}} {
		out, err := run(append(args, "--json")...)
		if err == nil {
			t.Fatalf("%v: passes", args)
		}
		got := edgetest.Decode[verifiedJSON](t, out)
		if got.Found != 1 || got.Breaches[0].Kind != "altered" || got.Breaches[0].Account != ada.ID || got.Breaches[0].Sequence != 2 || got.Breaches[0].ID == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	table, err := run("credits", "verify")
	if err == nil || !strings.Contains(err.Error(), "in 1 places") || !strings.Contains(table, "altered") || !strings.Contains(table, ada.ID) {
		t.Errorf("%v:\n%s", err, table)
	}
	if _, err := run("credits", "verify", "--since", "soon"); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Error(err)
	}
	if _, err := run("credits", "verify", "--user", "ada@example.com", "--organization", "acme"); err == nil {
		t.Error("two accounts are taken")
	}
	if _, err := run("keys", "list", "--purpose", "ledger"); err == nil || !strings.Contains(err.Error(), "--purpose") {
		t.Error(err)
	}
}
