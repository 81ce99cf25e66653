package migrations_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestNotifications(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	listener := connect(t, db.DSN)
	execAll(t, listener, `LISTEN mana_revocations`, `LISTEN mana_keys`, `LISTEN mana_prices`)
	heard := func(channel string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		n, err := listener.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n.Channel != channel {
			t.Fatalf("heard %s on %s, want it on %s", n.Payload, n.Channel, channel)
		}
		return n.Payload
	}
	for _, test := range []struct {
		user    string
		session *string
	}{
		{"alice", new("session-1")},
		{`o'"\ ü`, nil},
	} {
		row, err := dbscope.Row[struct {
			ID        int64
			CreatedAt time.Time
		}](t.Context(), db.Pool, dbscope.System(), `
			INSERT INTO auth.revocations (user_id, session_id, reason)
			VALUES ($1, $2, 'sign_out')
			RETURNING id, created_at`, test.user, test.session)
		if err != nil {
			t.Fatal(err)
		}
		type event struct {
			ID        int64   `json:"id"`
			UserID    string  `json:"userId"`
			SessionID *string `json:"sessionId"`
			Reason    string  `json:"reason"`
			At        int64   `json:"at"`
		}
		var got event
		if err := json.Unmarshal([]byte(heard("mana_revocations")), &got); err != nil {
			t.Fatal(err)
		}
		if d := row.CreatedAt.UnixMilli() - got.At; d < -1 || d > 1 {
			t.Errorf("at %d, row created at %d", got.At, row.CreatedAt.UnixMilli())
		}
		got.At = 0
		if diff := cmp.Diff(event{ID: row.ID, UserID: test.user, SessionID: test.session, Reason: "sign_out"}, got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
	for _, sql := range []string{
		`INSERT INTO auth.jwks (id, public_key, private_key) VALUES ('k', '{}', '""')`,
		`UPDATE auth.jwks SET gone_at = now() WHERE id = 'k'`,
		`DELETE FROM auth.jwks WHERE id = 'k'`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if payload := heard("mana_keys"); payload != "" {
			t.Errorf("%s: payload %q", sql, payload)
		}
	}
	for _, sql := range []string{
		`INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by) VALUES (1, '[1]', now() + interval '1 hour', 'r', 'cli')`,
		`UPDATE credits.price_versions SET withdrawn_at = now(), withdrawn_by = 'cli', withdrawal_reason = 'r' WHERE version = 1`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if payload := heard("mana_prices"); payload != "" {
			t.Errorf("%s: payload %q", sql, payload)
		}
	}
}

// What is rolled back was never said.
func TestNoNotificationWithoutCommit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	listener := connect(t, db.DSN)
	execAll(t, listener, `LISTEN mana_revocations`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dbscope.Exec(ctx, db.Pool, dbscope.System(), `INSERT INTO auth.revocations (user_id, reason) VALUES ('a', 'r')`); err == nil {
		t.Fatal("a cancelled context inserted")
	}
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		WITH inserted AS (INSERT INTO auth.revocations (user_id, reason) VALUES ('a', 'r') RETURNING id)
		SELECT 1 / (id - id) FROM inserted`); err == nil {
		t.Fatal("a failed statement inserted")
	}
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `INSERT INTO auth.revocations (user_id, reason) VALUES ('last', 'r')`); err != nil {
		t.Fatal(err)
	}
	wait, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n, err := listener.WaitForNotification(wait)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		UserID string `json:"userId"`
	}
	if err := json.Unmarshal([]byte(n.Payload), &got); err != nil || got.UserID != "last" {
		t.Errorf("heard %s, %v", n.Payload, err)
	}
}
