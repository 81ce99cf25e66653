package services_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// A running edge holds the gifting of who reaches the threshold of its config, which
// stands in the events of the account, without the score. Who leaves has no score.
func TestAbuseOnARunningEdge(t *testing.T) {
	edgetest.StopAtEnd(t)
	app := edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "credits", map[string]any{"abuse_hold": "80"})
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
		t.Fatal(err)
	}
	rt := edgetest.LiveRuntime(t)
	ada := edgetest.SignUp(t, "ada@example.com")
	for _, sql := range []string{
		`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at, reversed_credits, clawed_back)
		 SELECT 'p' || i, $1, 1000, 100, 'completed', now(), 1000, 1000 FROM generate_series(1, 2) AS i`,
		`INSERT INTO credits.clawbacks (user_id, reference, internal_key, kind, holder_id, amount) SELECT $1, 'purchase:p' || i, 'k' || i, 'owed', $1, 1000 FROM generate_series(1, 2) AS i`,
		`INSERT INTO credits.cards (fingerprint, user_id, first_seen_at, last_seen_at) VALUES ('card', $1, now(), now())`,
	} {
		if _, err := dbscope.Exec(t.Context(), rt.Pool, dbscope.System(), sql, ada.UserID); err != nil {
			t.Fatal(err)
		}
	}
	count := func(sql string) int64 {
		t.Helper()
		r, err := dbscope.Row[struct{ N int64 }](t.Context(), rt.Pool, dbscope.System(), `SELECT (`+sql+`)::bigint AS n`, ada.UserID)
		if err != nil {
			t.Fatal(err)
		}
		return r.N
	}
	if err := rt.Abuse.Score(t.Context()); err != nil {
		t.Fatal(err)
	}
	edgetest.GrantTo(t, rt.Credits, ada.UserID, creditcore.Credits(10))
	if _, err := rt.Gifts.Create(t.Context(), creditcore.Caller{UserID: ada.UserID}, gift.Order{Credits: creditcore.Credits(5)}); !errors.Is(err, gift.ErrHeld) {
		t.Errorf("a gift is made: %v", err)
	}
	if n := count(`SELECT count(*) FROM auth.security_events WHERE user_id = $1 AND event_type = 'gifting_held' AND metadata = '{"operator": "edge"}'`); n != 1 {
		t.Errorf("%d events", n)
	}
	if err := rt.Auth.DeleteAccount(t.Context(), ada, edgetest.SignUpPassword, ""); err != nil {
		t.Fatal(err)
	}
	if n := count(`SELECT (SELECT count(*) FROM credits.abuse_scores WHERE user_id = $1) + (SELECT count(*) FROM credits.cards WHERE user_id = $1)`); n != 0 {
		t.Errorf("%d rows of who left", n)
	}
}
