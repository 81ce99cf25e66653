package importer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/importer"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// at runs statements at the source.
func at(t *testing.T, db *pgtest.Database, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range statements {
		if tag, err := conn.Exec(t.Context(), sql); err != nil || tag.RowsAffected() == 0 && !strings.HasPrefix(sql, "ALTER") && !strings.HasPrefix(sql, "DROP") {
			t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
		}
	}
}

// here runs a statement on the rows of this edge.
func here(t *testing.T, db *pgtest.Database, sql string, args ...any) {
	t.Helper()
	if n, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql, args...); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", sql, n, err)
	}
}

// tables are the counts of a report that are not of what is unchanged.
func changes(r importer.Report) map[string]importer.Count {
	m := make(map[string]importer.Count)
	for _, c := range r.Tables {
		c.Unchanged, c.Mended, c.Refused = 0, 0, 0
		if (c != importer.Count{Table: c.Table}) {
			m[c.Table] = c
		}
	}
	return m
}

// What changed at the source comes with the next import, unless it was changed here.
func TestChangesSinceTheLastImport(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 100)
	to := pgtest.New(t)
	carryOver(t, from, to)

	at(t, from,
		`UPDATE auth.users SET name = 'New name' WHERE id IN (md5('user1'), md5('user2'))`,
		`UPDATE auth.accounts SET password = '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy' WHERE id = md5('account1')`,
		`DELETE FROM auth.members WHERE user_id = md5('user2')`,
		`DELETE FROM auth.sessions WHERE id = md5('session1')`,
		`UPDATE auth.sessions SET revoked_at = now() WHERE id = md5('session2')`,
		`UPDATE auth.api_keys SET revoked_at = now() WHERE user_id = md5('user5')`,
		`INSERT INTO credits.transactions (id, user_id, type, status, amount, balance_before, balance_after, app_id, description)
		 SELECT md5('later' || i)::uuid, md5('user' || i), 'usage', 'completed', -1, 0, 0, 'chat', 'later' FROM generate_series(1, 4) AS i`,
		`UPDATE credits.balances SET balance = balance - 1 WHERE user_id IN (SELECT md5('user' || i) FROM generate_series(1, 4) AS i)`,
		`UPDATE credits.balances SET balance = 10 WHERE user_id = md5('user23')`, // it owed 5
		`UPDATE gifts.gift_codes SET status = 'cancelled' WHERE creator_id = md5('user32')`,
	)
	here(t, to, `UPDATE auth.users SET name = 'My name' WHERE id = md5('user2')`)
	here(t, to, `INSERT INTO mana.webhook_endpoints (id, url, secret) VALUES ('endpoint', 'https://example.com/', 'sealed')`)
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: to.Pool})
	if _, err := ledger.Grant(t.Context(), creditcore.Grant{
		UserID: value(t, to, `SELECT md5('user3')`), Amount: 1000, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin", Description: "here",
	}); err != nil {
		t.Fatal(err)
	}

	told := value(t, to, `SELECT count(*) FROM mana.webhook_events`)
	report := carryOver(t, from, to)
	want := map[string]importer.Count{
		"auth.users":       {Table: "auth.users", Updated: 1, Kept: 1},
		"auth.accounts":    {Table: "auth.accounts", Updated: 1},
		"auth.members":     {Table: "auth.members", Removed: 1},
		"auth.sessions":    {Table: "auth.sessions", Removed: 3}, // the second had an app, too
		"auth.api_keys":    {Table: "auth.api_keys", Updated: 1},
		"credits.balances": {Table: "credits.balances", Updated: 4, Kept: 1},
		"gifts.gift_codes": {Table: "gifts.gift_codes", Updated: 1},
	}
	if diff := cmp.Diff(want, changes(report)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if now := value(t, to, `SELECT count(*) FROM mana.webhook_events`); now != told || told != "1" {
		t.Errorf("%s events were noted before, %s after what was carried over", told, now)
	}
	for i, want := range map[string]string{"1": "92000 0", "2": "12000 0", "3": "14000 0", "4": "12000 0", "23": "10000 0"} {
		if got := value(t, to, `SELECT balance || ' ' || debt FROM credits.balances WHERE user_id = md5('user' || $1)`, i); got != want {
			t.Errorf("person %s has %s, want %s", i, got, want)
		}
	}
	if got := value(t, to, `SELECT string_agg(name, ', ' ORDER BY name) FROM auth.users WHERE id IN (md5('user1'), md5('user2'))`); got != "My name, New name" {
		t.Errorf("names: %s", got)
	}
	if got := value(t, to, `SELECT count(*) FROM auth.sessions WHERE user_id IN (md5('user1'), md5('user2')) AND revoked_at IS NULL`); got != "0" {
		t.Errorf("%s sessions live that have ended at the source", got)
	}
	s := identity(t, to)
	if _, err := s.SignIn(t.Context(), principal.Client{}, "person2@example.com", "Passw0rd!"); err != nil {
		t.Errorf("a password: %v", err)
	}
	wantSound(t, to)
	quiet := changes(carryOver(t, from, to))
	if diff := cmp.Diff(map[string]importer.Count{
		"auth.users": {Table: "auth.users", Kept: 1}, "credits.balances": {Table: "credits.balances", Kept: 1},
	}, quiet); diff != "" {
		t.Errorf("the third run (-want +got)\n%s", diff)
	}
}

// An account that was closed here stays closed, and nothing of it comes back.
func TestWhoHasLeftStaysAway(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 50)
	to := pgtest.New(t)
	carryOver(t, from, to)
	id := value(t, to, `SELECT md5('user1')`)
	s := identity(t, to)
	if err := s.DeleteUser(t.Context(), principal.Operator{Name: "test"}, id); err != nil {
		t.Fatal(err)
	}
	at(t, from, `UPDATE auth.users SET name = 'Back' WHERE id = md5('user1')`,
		`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash) VALUES ('another', md5('user1'), 'Key', 'sk_live_', 'abc')`)
	carryOver(t, from, to)
	if got := value(t, to, `SELECT name || (SELECT count(*) FROM auth.api_keys WHERE user_id = $1) || (SELECT count(*) FROM auth.accounts WHERE user_id = $1)
		FROM auth.users WHERE id = $1 AND deleted_at IS NOT NULL`, id); got != "00" {
		t.Errorf("name, keys and accounts: %q", got)
	}
}

// What has an address here already is told, and its rows are left out with it.
func TestAddressThatIsTakenHere(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 30)
	to := pgtest.New(t)
	here(t, to, `INSERT INTO auth.users (id, name, email) VALUES ('first', '', 'person3@example.com')`)
	report := carryOver(t, from, to)
	refused := 0
	for _, n := range report.Refused {
		if n.Table == "auth.users" && n.ID == value(t, to, `SELECT md5('user3')`) || n.Table == "auth.sessions" && strings.Contains(n.Reason, "was not carried over") {
			refused++
		}
	}
	if refused < 2 || value(t, to, `SELECT count(*) FROM auth.users`) != "30" {
		t.Errorf("refused: %+v", report.Refused)
	}
	wantSound(t, to)
}

// A database of another kind is named as such, with what it lacks.
func TestSourceOfTheWrongShape(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 1)
	whole, _ := oldDatabase(t, 3)
	to := pgtest.New(t)
	try := func(dsn string) error {
		_, err := importer.Import(context.Background(), importer.Options{From: dsn, Pool: to.Pool})
		return err
	}
	at(t, from, `ALTER TABLE auth.users RENAME COLUMN role TO might`, `DROP TABLE gifts.gift_redemptions`)
	for name, tt := range map[string]struct {
		dsn  string
		want []string
	}{
		"columns and tables": {from.DSN, []string{"no column auth.users.role", "no table gifts.gift_redemptions"}},
		"one of ours":        {pgtest.New(t).DSN, []string{"it is one of this edge"}},
		"an empty one":       {pgtest.Empty(t).DSN, []string{"no table auth.users", "no table credits.balances"}},
	} {
		err := try(tt.dsn)
		if !errors.Is(err, importer.ErrShape) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %q", name, err, want)
			}
		}
	}
	carryOver(t, whole, to)
	at(t, whole, `DELETE FROM auth.sessions`, `DELETE FROM auth.users WHERE id <> md5('user1')`)
	if err := try(whole.DSN); !errors.Is(err, importer.ErrShape) || !strings.Contains(err.Error(), "1 users, of 3") {
		t.Errorf("a source that has lost its users: %v", err)
	}
	if value(t, to, `SELECT count(*) > 0 FROM auth.sessions WHERE revoked_at IS NULL`) == "false" {
		t.Error("sessions have ended all the same")
	}
	if err := try("postgres://somebody:very-secret@127.0.0.1:1/nowhere"); err == nil || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("a source that does not answer: %v", err)
	}
	if err := try("://"); err == nil {
		t.Error("no URL was taken")
	}
}

// The plans that an edge writes at its start give way to those that people have
// subscribed to.
func TestSeededPlansGiveWay(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 30)
	to := pgtest.New(t)
	here(t, to, `INSERT INTO subscriptions.plans (id, name, stripe_price_id_monthly) VALUES ('seeded', 'plus', 'price_plus'), ('other', 'Pro', NULL)`)
	here(t, to, `INSERT INTO credits.packages (id, name, credits, price_euro_cents, seeded) VALUES ('seeded', 'Small', 1, 1, true)`)
	carryOver(t, from, to)
	if got := value(t, to, `SELECT string_agg(name, ' ' ORDER BY name) FROM subscriptions.plans`); got != "Plus Pro" {
		t.Errorf("plans: %s", got)
	}
	if got := value(t, to, `SELECT plan_id = md5('plan')::uuid::text FROM subscriptions.prices WHERE stripe_price_id = 'price_plus'`); got != "true" {
		t.Errorf("the price is of the imported plan: %s", got)
	}
	if got := value(t, to, `SELECT count(*) FROM credits.packages`); got != "1" {
		t.Errorf("%s packages", got)
	}
}
