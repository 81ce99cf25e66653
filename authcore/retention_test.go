package authcore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// What ended longer ago than it is kept is deleted, and nothing else.
func TestRetention(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db, func(c *authcore.Config) {
		c.Retention = authcore.Retention{Events: 30 * 24 * time.Hour, Sessions: 10 * 24 * time.Hour}
	})
	u := register(t, s, "ada@example.test")
	db.Tamper(t, `DELETE FROM auth.security_events`)
	change(t, db, `
		INSERT INTO auth.security_events (user_id, event_type, created_at)
		SELECT $1, 'event of day ' || d, now() - make_interval(days => d) - interval '1 minute'
		FROM unnest(ARRAY[0, 29, 30, 31]) AS d`, u.ID)
	change(t, db, `
		INSERT INTO auth.security_events (user_id, event_type, created_at)
		SELECT $1, 'old', now() - interval '31 days' FROM generate_series(1, 2500)`, u.ID)
	change(t, db, `
		INSERT INTO auth.sessions (id, token, user_id, expires_at, revoked_at, parent_id)
		VALUES ('live', 'a', $1, now() + interval '1 day', NULL, NULL),
			('expired 9 days', 'b', $1, now() - interval '9 days', NULL, NULL),
			('expired 11 days', 'c', $1, now() - interval '11 days', NULL, NULL),
			('ended 9 days', 'd', $1, now() + interval '1 day', now() - interval '9 days', NULL),
			('ended 11 days', 'e', $1, now() + interval '1 day', now() - interval '11 days', NULL),
			('expired parent', 'f', $1, now() - interval '11 days', NULL, NULL),
			('live child', 'g', $1, now() + interval '1 day', NULL, 'expired parent')`, u.ID)
	change(t, db, `
		INSERT INTO auth.refresh_families (id, session_id, user_id, expires_at, revoked_at)
		VALUES ('of the expired', 'expired 11 days', $1, now() - interval '11 days', NULL),
			('of the ended', 'ended 11 days', $1, now() + interval '1 day', now() - interval '11 days'),
			('of the child', 'live child', $1, now() + interval '1 day', NULL)`, u.ID)
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]string{
		`SELECT event_type AS name FROM auth.security_events`: {"event of day 0", "event of day 29"},
		`SELECT id AS name FROM auth.sessions`:                {"ended 9 days", "expired 9 days", "expired parent", "live", "live child"},
		`SELECT id AS name FROM auth.refresh_families`:        {"of the child"},
	} {
		if diff := cmp.Diff(want, names(t, db, query)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", query, diff)
		}
	}
}

// names is the column name of a query, sorted.
func names(t testing.TB, db *pgtest.Database, query string, args ...any) []string {
	t.Helper()
	rows, err := dbscope.Rows[struct{ Name string }](t.Context(), db.Pool, dbscope.System(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.Name
	}
	slices.Sort(list)
	return list
}
