package migrations_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// Nobody edits what happened: an event of an account that is there stays as it
// was written, and none goes before it is a day old.
func TestEventsAreAppendOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec := func(sql string) (int64, error) {
		return dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql)
	}
	must := func(sql string, want int64) {
		t.Helper()
		if n, err := exec(sql); err != nil || n != want {
			t.Fatalf("%s: %d rows, %v", sql, n, err)
		}
	}
	must(`INSERT INTO auth.users (id, name, email) VALUES ('ada', 'Ada', 'ada@example.test'), ('eve', 'Eve', 'eve@example.test')`, 2)
	must(`INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		VALUES ('ada', 'admin_action', '192.0.2.1', 'Laptop', '{"reason":"because"}'), (NULL, 'login_failed', '192.0.2.1', 'Laptop', NULL)`, 2)
	for _, set := range []string{
		`event_type = 'logout'`, `created_at = created_at - interval '1 year'`, `user_id = 'eve'`, `user_id = NULL`, `id = gen_random_uuid()`,
		`ip_address = NULL`, `ip_address = '192.0.2.2'`, `user_agent = NULL`, `metadata = NULL`, `metadata = '{"reason":"another"}'`,
	} {
		if n, err := exec(`UPDATE auth.security_events SET ` + set); n != 0 || !constraint(err) {
			t.Errorf("%s: %d rows, %v", set, n, err)
		}
	}
	for _, sql := range []string{`DELETE FROM auth.security_events`, `TRUNCATE auth.security_events`} {
		if n, err := exec(sql); n != 0 || err == nil {
			t.Errorf("%s: %d rows, %v", sql, n, err)
		}
	}
	// Who has left is erased, and nothing is written in its place.
	must(`UPDATE auth.users SET deleted_at = now() WHERE id = 'ada'`, 1)
	if n, err := exec(`UPDATE auth.security_events SET metadata = '{"reason":"another"}' WHERE user_id = 'ada'`); n != 0 || !constraint(err) {
		t.Errorf("rewrite the event of an erased account: %d rows, %v", n, err)
	}
	must(`UPDATE auth.security_events SET ip_address = NULL, user_agent = NULL, metadata = NULL WHERE user_id = 'ada'`, 1)
	must(`DELETE FROM auth.users WHERE id = 'ada'`, 1)
	db.Tamper(t, `UPDATE auth.security_events SET created_at = now() - interval '2 days'`)
	must(`DELETE FROM auth.security_events`, 2)
}

// The words of a user follow their address and name, and go with the account.
func TestUserWords(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	words := func(want ...string) {
		t.Helper()
		list, err := dbscope.Rows[struct{ Word string }](t.Context(), db.Pool, dbscope.System(), `SELECT word FROM auth.user_words WHERE user_id = 'U-1' ORDER BY word`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range list {
			got = append(got, w.Word)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("words (-want +got)\n%s", diff)
		}
	}
	change := func(s dbscope.Scope, sql string) {
		t.Helper()
		if n, err := dbscope.Exec(t.Context(), db.Pool, s, sql); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, %v", sql, n, err)
		}
	}
	change(dbscope.System(), `INSERT INTO auth.users (id, name, email) VALUES ('U-1', 'Ada "The" Lovelace', 'ada.l@mail.example.test')`)
	words("1", "ada", "example", "l", "lovelace", "mail", "test", "the", "u")
	change(dbscope.User("U-1", "user"), `UPDATE auth.users SET name = 'Countess' WHERE id = 'U-1'`)
	words("1", "ada", "countess", "example", "l", "mail", "test", "u")
	// They are nobody else's to read or to write.
	change(dbscope.System(), `INSERT INTO auth.users (id, name, email) VALUES ('u-2', 'Eve', 'eve@example.test')`)
	for _, eve := range []dbscope.Scope{dbscope.User("u-2", "user"), dbscope.User("u-2", "admin")} {
		if n, err := count(t.Context(), db, eve, `auth.user_words WHERE user_id = 'U-1'`); n != 0 || err != nil {
			t.Errorf("another user reads %d words, %v", n, err)
		}
		harmless(t, db, eve, `DELETE FROM auth.user_words WHERE user_id = 'U-1'`)
		harmless(t, db, eve, `INSERT INTO auth.user_words (word, user_id) VALUES ('x', 'U-1')`)
	}
	words("1", "ada", "countess", "example", "l", "mail", "test", "u")
	change(dbscope.System(), `UPDATE auth.users SET deleted_at = now() WHERE id = 'U-1'`)
	words()
}
