package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

type grantJSON struct {
	TransactionID, UserID, Email, Reason string
	Amount, Balance                      float64
	ExpiresAt                            *time.Time
	Replayed                             bool
}

func TestCreditsGrant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	run := func(args ...string) string {
		t.Helper()
		out, err := edgetest.Operate(t, "", append(args, "--json", "--config", file)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	made := edgetest.Decode[accountJSON](t, run("user", "create", "--email", "ada@example.com"))
	first := edgetest.Decode[grantJSON](t, run("credits", "grant", "--user", "ADA@example.com", "--amount", "12.5"))
	if first.UserID != made.ID || first.Amount != 12.5 || first.Balance != 12.5 || first.ExpiresAt != nil || first.Reason == "" {
		t.Fatalf("granted %+v", first)
	}
	keyed := []string{"credits", "grant", "--user", made.ID, "--amount", "100", "--reason", "Thank you", "--expires", "30d", "--key", "k"}
	second := edgetest.Decode[grantJSON](t, run(keyed...))
	if days := time.Until(*second.ExpiresAt).Hours() / 24; second.Balance != 112.5 || second.Reason != "Thank you" || days < 29.9 || days > 30 {
		t.Fatalf("granted %+v", second)
	}
	if again := edgetest.Decode[grantJSON](t, run(keyed...)); !again.Replayed || again.TransactionID != second.TransactionID || again.Balance != 112.5 {
		t.Fatalf("repeated: %+v", again)
	}
	third := edgetest.Decode[grantJSON](t, run("credits", "grant", "--user", made.ID, "--amount", "1", "--expires", "2999-12-31"))
	if want := time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC); !third.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", third.ExpiresAt, want)
	}
	rows, err := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}).
		History(t.Context(), creditcore.Caller{UserID: made.ID}, 10, 0)
	if err != nil || len(rows) != 3 || rows[0].Type != creditcore.Gift || rows[0].AppID != "admin" ||
		!strings.Contains(string(rows[0].Metadata), "cli:") {
		t.Errorf("rows %+v, %v", rows, err)
	}
	table, err := edgetest.Operate(t, "", "credits", "grant", "--user", made.ID, "--amount", "1", "--config", file)
	if err != nil || !strings.Contains(table, "114.5 credits") {
		t.Errorf("table %v:\n%s", err, table)
	}
}

func TestCreditsGrantFails(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	if _, err := edgetest.Operate(t, "", "user", "create", "--email", "ada@example.com", "--config", file); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"nobody":          {[]string{"--amount", "1"}, "--user is missing"},
		"no amount":       {[]string{"--user", "ada@example.com"}, "--amount"},
		"no number":       {[]string{"--user", "ada@example.com", "--amount", "many"}, "--amount"},
		"negative":        {[]string{"--user", "ada@example.com", "--amount=-1"}, "--amount"},
		"too small":       {[]string{"--user", "ada@example.com", "--amount", "0.0001"}, "--amount"},
		"too great":       {[]string{"--user", "ada@example.com", "--amount", "1e300"}, "--amount"},
		"unknown account": {[]string{"--user", "bob@example.com", "--amount", "1"}, "bob@example.com: User not found"},
		"over":            {[]string{"--user", "ada@example.com", "--amount", "1", "--expires", "2020-01-01"}, "is over"},
		"no time":         {[]string{"--user", "ada@example.com", "--amount", "1", "--expires", "soon"}, "--expires"},
	} {
		if _, err := edgetest.Operate(t, "", append([]string{"credits", "grant", "--config", file}, tt.args...)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

type auditJSON struct {
	Accounts, Entries int
	Breaches          []struct{ Invariant, UserID, Detail string }
}

func TestCreditsAudit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	made, err := edgetest.Operate(t, "", "user", "create", "--email", "ada@example.com", "--json", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edgetest.Operate(t, "", "credits", "grant", "--user", "ada@example.com", "--amount", "5", "--config", file); err != nil {
		t.Fatal(err)
	}
	out, err := edgetest.Operate(t, "", "credits", "audit", "--json", "--config", file)
	if sound := edgetest.Decode[auditJSON](t, out); err != nil || sound.Accounts != 1 || sound.Entries != 1 || len(sound.Breaches) != 0 {
		t.Fatalf("a sound ledger: %v, %+v", err, sound)
	}
	conn, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `UPDATE credits.balances SET balance = balance + 1, total_earned = total_earned + 1`); err != nil {
		t.Fatal(err)
	}
	out, err = edgetest.Operate(t, "", "credits", "audit", "--json", "--config", file)
	broken := edgetest.Decode[auditJSON](t, out)
	if err == nil || len(broken.Breaches) == 0 || broken.Breaches[0].UserID != edgetest.Decode[accountJSON](t, made).ID {
		t.Errorf("a broken ledger: %v, %+v", err, broken)
	}
	table, err := edgetest.Operate(t, "", "credits", "audit", "--config", file)
	if err == nil || !strings.Contains(table, "INVARIANT") {
		t.Errorf("a broken ledger: %v\n%s", err, table)
	}
}

// What an account owes is written off, in part and then all of it, with why and
// by whom.
func TestCreditsForgive(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	made := edgetest.Decode[accountJSON](t, edgetest.MustOperate(t, "user", "create", "--email", "ada@example.com", "--json", "--config", file))
	edgetest.MustOperate(t, "credits", "grant", "--user", made.ID, "--amount", "10", "--config", file)
	for _, sql := range []string{
		`INSERT INTO credits.debts (user_id, reference, kind, amount) SELECT user_id, 'purchase:1', 'incurred', 25000 FROM credits.balances`,
		`UPDATE credits.balances SET debt = 25000`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	type forgiven struct{ Forgiven, Debt, Balance float64 }
	for _, c := range []struct {
		args []string
		want forgiven
	}{
		{[]string{"--amount", "5"}, forgiven{5, 10, 0}}, // the ten that were there have paid
		{nil, forgiven{10, 0, 0}},
		{nil, forgiven{0, 0, 0}},
	} {
		args := append([]string{"credits", "forgive", "--user", "ada@example.com", "--reason", "goodwill", "--json", "--config", file}, c.args...)
		if got := edgetest.Decode[forgiven](t, edgetest.MustOperate(t, args...)); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.args, got, c.want)
		}
	}
	if _, err := edgetest.Operate(t, "", "credits", "forgive", "--user", "ada@example.com", "--config", file); err == nil {
		t.Error("forgiven without a reason")
	}
	type note struct{ Reason, By string }
	notes, err := dbscope.Rows[note](t.Context(), db.Pool, dbscope.System(), `SELECT reason, forgiven_by AS by FROM credits.debts WHERE kind = 'forgiven'`)
	if err != nil || len(notes) != 2 || notes[0].Reason != "goodwill" || notes[0].By == "" {
		t.Errorf("kept %+v, %v", notes, err)
	}
}

func TestCreditsBooks(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	run := func(args ...string) (string, error) {
		return edgetest.Operate(t, "", append(append([]string{"credits", "books"}, args...), "--config", file)...)
	}
	for _, args := range [][]string{{"user", "create", "--email", "ada@example.com"}, {"credits", "grant", "--user", "ada@example.com", "--amount", "12.5"}} {
		if _, err := edgetest.Operate(t, "", append(args, "--config", file)...); err != nil {
			t.Fatal(err)
		}
	}
	from, to := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for kind, want := range map[string]string{"accounts": ",1,0,0,12.5,0,0,0,0,12.5\r\n", "days": ",1,1,0,0,12.5,0,0,0,0,12.5\r\n", "deferred": "euros\r\n"} {
		out, err := run("--kind", kind, "--from", from, "--to", to)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
	}
	if out, err := run("--kind", "days"); err != nil || strings.Count(out, "\n") < 29 {
		t.Errorf("last month: %v\n%s", err, out)
	}
	for want, args := range map[string][]string{
		`--kind: "diary"`: {"--kind", "diary"}, "--from": {"--from", "soon"}, "--to": {"--to", "2026-02-30"}, "the period must end": {"--from", "2026-02-02", "--to", "2026-02-01"},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
