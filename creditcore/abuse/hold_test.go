package abuse_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
)

// events are those of webhooks about holds.
func (s *watch) events() string {
	s.t.Helper()
	return s.text(`SELECT string_agg(type || ' ' || subject || ' ' || (data->>'score') || ' ' || (data->>'by'), ', ' ORDER BY sequence) FROM mana.webhook_events WHERE type LIKE 'gifting.%'`)
}

// endpoint has webhook events be noted.
func (s *watch) endpoint() {
	s.t.Helper()
	s.exec(`INSERT INTO mana.webhook_endpoints (id, url, secret) VALUES ('e', 'https://example.test/', 'sealed')`)
}

// The threshold holds gifting, on any number of edges once, and tells of it once.
// Below it nothing is held, and nothing else than gifting is.
func TestThresholdHoldsOnce(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	other := openWatch(t, s.db)
	s.endpoint()
	s.users("ada", "bob")
	s.cheat("bob", 2)
	s.give("ada", "bob")
	open := s.text(`SELECT count(*) FROM gifts.gift_codes`)
	s.cheat("ada", 3)
	concurrently(8, func(i int) {
		edge := s
		if i%2 == 0 {
			edge = other
		}
		edge.score()
	})
	if since, err := s.HeldSince(t.Context(), "ada"); err != nil || since == nil {
		t.Errorf("ada is held since %v, %v", since, err)
	}
	if since, err := s.HeldSince(t.Context(), "bob"); err != nil || since != nil {
		t.Errorf("bob is held since %v, %v", since, err)
	}
	if !s.refusedGift("ada") || s.refusedGift("bob") {
		t.Error("ada gives, or bob does not")
	}
	if err := s.spend("ada", 1); err != nil {
		t.Errorf("spend: %v", err)
	}
	s.handOut("bob", "ada") // redeeming goes on
	if now := s.text(`SELECT count(*) FROM gifts.gift_codes WHERE creator_id = 'ada'`); now != open {
		t.Errorf("ada's gifts were %s and are %s", open, now)
	}
	told := s.told()
	for what, n := range other.told() {
		told[what] += n
	}
	if diff := cmp.Diff(map[string]int{"held": 1, "ada true": 1}, told); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
	if got := s.events(); got != "gifting.held ada 135 edge" {
		t.Errorf("events: %s", got)
	}
	if found := s.of("ada"); *found.HeldBy != abuse.Edge || !strings.Contains(*found.HoldReason, "135") {
		t.Errorf("held by %s: %s", *found.HeldBy, *found.HoldReason)
	}
}

// The score of the threshold holds; one less does not.
func TestThreshold(t *testing.T) {
	t.Parallel()
	s := newWatch(t, func(c *abuse.Config) { c.Threshold = 41 })
	exact := openWatch(t, s.db, func(c *abuse.Config) { c.Threshold = 40 })
	off := openWatch(t, s.db, func(c *abuse.Config) { c.Threshold = 0 })
	s.users("ada")
	s.cheat("ada", 1)
	held := func(edge *watch, want bool) {
		t.Helper()
		edge.score()
		if got := edge.of("ada").HeldAt != nil; got != want {
			t.Errorf("from %d on: held is %t", edge.of("ada").Score, got)
		}
	}
	held(s, false)
	held(off, false)
	held(exact, true)
	held(exact, true)
	held(off, false) // who switches it off wants nobody held
	held(exact, true)
	held(s, false)
}

// A hold ends by itself where the score falls below the threshold.
func TestScoreFalls(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.endpoint()
	s.users("ada")
	s.cheat("ada", 3)
	s.score()
	if !s.refusedGift("ada") {
		t.Fatal("ada is not held")
	}
	s.pass(91 * day)
	s.wants("ada", nil)
	if s.refusedGift("ada") {
		t.Error("ada is held still")
	}
	if n := s.text(`SELECT count(*) FROM credits.abuse_scores`); n != "0" {
		t.Errorf("%s scores are kept that say nothing", n)
	}
	if diff := cmp.Diff(map[string]int{"held": 1, "ada true": 1, "released": 1, "ada false": 1}, s.told()); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
	if got := s.events(); got != "gifting.held ada 135 edge, gifting.released ada 0 edge" {
		t.Errorf("events: %s", got)
	}
}

// What an operator released is held again only by a higher score.
func TestRelease(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("ada")
	recorded := 0
	record := func(context.Context, pgx.Tx, map[string]any) error { recorded++; return nil }
	if err := s.Release(t.Context(), "ada", "admin:a", "a mistake", record); !errors.Is(err, abuse.ErrNotHeld) {
		t.Errorf("released what is not held: %v", err)
	}
	cheated := s.cheat("ada", 3)
	s.score()
	broken := errors.New("broken")
	if err := s.Release(t.Context(), "ada", "admin:a", "a mistake", func(context.Context, pgx.Tx, map[string]any) error { return broken }); !errors.Is(err, broken) || s.of("ada").HeldAt == nil {
		t.Errorf("an unrecorded release: %v", err)
	}
	s.patiently("release", func() error { return s.Release(t.Context(), "ada", "admin:a", "a mistake", record) })
	if recorded != 1 {
		t.Errorf("recorded %d times", recorded)
	}
	s.score()
	if found := s.of("ada"); found.HeldAt != nil || found.ReleasedAt == nil || *found.ReleasedScore != 135 || *found.ReleasedBy != "admin:a" || *found.ReleaseReason != "a mistake" {
		t.Errorf("released: %+v", found)
	}
	if s.refusedGift("ada") {
		t.Error("ada is held still")
	}

	// The score falls, and comes to what it was: that is not more.
	s.exec(`UPDATE credits.purchases SET updated_at = now() - interval '91 days' WHERE id = $1`, cheated[0])
	s.wants("ada", points{abuse.SpentAndRefunded: 80})
	s.exec(`UPDATE credits.purchases SET updated_at = now()`)
	s.wants("ada", points{abuse.SpentAndRefunded: 120, abuse.Refunds: 15})
	if s.refusedGift("ada") {
		t.Error("ada is held for the same again")
	}
	s.reverse("ada", s.buy("ada", 0))
	s.wants("ada", points{abuse.SpentAndRefunded: 120, abuse.Refunds: 30})
	if found := s.of("ada"); found.HeldAt == nil || found.ReleasedAt != nil {
		t.Errorf("held again: %+v", found)
	}
	if !s.refusedGift("ada") {
		t.Error("ada gives")
	}
}

// What an operator holds no score releases, nor is it held twice.
func TestHoldByHand(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.endpoint()
	s.users("ada", "eve")
	hold := func(id string) error { return s.Hold(t.Context(), id, "admin:a", "seen it", nil) }
	s.patiently("hold", func() error { return hold("ada") })
	if err := hold("ada"); !errors.Is(err, abuse.ErrHeld) {
		t.Errorf("held twice: %v", err)
	}
	if err := hold("nobody"); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("nobody is held: %v", err)
	}
	s.wants("ada", nil)
	if !s.refusedGift("ada") {
		t.Error("ada gives")
	}

	// What the score holds becomes a hold of the operator's, which stays.
	s.cheat("eve", 3)
	s.score()
	since := *s.of("eve").HeldAt
	s.patiently("hold", func() error { return hold("eve") })
	s.pass(91 * day)
	s.wants("eve", nil)
	if found := s.of("eve"); found.HeldAt == nil || !found.HeldAt.Equal(since) || *found.HeldBy != "admin:a" {
		t.Errorf("held: %+v", found)
	}
	if n := s.told()["held"]; n != 2 {
		t.Errorf("told of %d holds", n)
	}
	if got := s.events(); got != "gifting.held ada 0 admin:a, gifting.held eve 135 edge" {
		t.Errorf("events: %s", got)
	}
	s.patiently("release", func() error { return s.Release(t.Context(), "ada", "admin:b", "all is well", nil) })
	if s.refusedGift("ada") {
		t.Error("ada is held still")
	}
}

// Who leaves has neither score nor card any more, and gets none.
func TestErase(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("ada", "bob", "eve")
	s.cheat("ada", 3)
	s.card("flat", 0, "ada", "bob", "eve")
	s.wants("bob", points{abuse.SharedCard: 20})
	s.inTx("erase", func(ctx context.Context, tx pgx.Tx) error {
		if err := s.EraseTx(ctx, tx, "ada"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE auth.users SET deleted_at = now(), name = '', email_verified = false, email = 'deleted-ada@deleted.invalid' WHERE id = 'ada'`)
		return err
	})
	s.wants("bob", nil)
	if n := s.text(`SELECT (SELECT count(*) FROM credits.cards WHERE user_id = 'ada') + (SELECT count(*) FROM credits.abuse_scores WHERE user_id = 'ada')`); n != "0" {
		t.Errorf("%s rows are left", n)
	}
}

// Of several edges one scores, once an hour.
func TestTurns(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	other := openWatch(t, s.db)
	s.users("ada")
	s.cheat("ada", 3)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, edge := range []*watch{s, other} {
		go func() { ended <- edge.Run(ctx) }()
	}
	wait(t, func() bool { return s.of("ada").HeldAt != nil })
	first := s.of("ada").ScoredAt
	time.Sleep(100 * time.Millisecond)
	if again := s.of("ada").ScoredAt; !again.Equal(first) {
		t.Errorf("scored at %s and again at %s", first, again)
	}
	other.pass(time.Hour)
	wait(t, func() bool { return !s.of("ada").ScoredAt.Equal(first) })
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// The list has the highest scores first, page by page.
func TestPage(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("a", "b", "c", "d", "e")
	s.exec(`INSERT INTO credits.abuse_scores (user_id, score) VALUES ('a', 20), ('b', 200), ('c', 20), ('d', 0), ('e', 90)`)
	var got []string
	after := abuse.Cursor{}
	for range 10 {
		list, next, err := s.Page(t.Context(), abuse.ParseCursor(after.String()), 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			got = append(got, one.Email)
		}
		if after = next; next == (abuse.Cursor{}) {
			break
		}
	}
	if diff := cmp.Diff([]string{"b@example.test", "e@example.test", "c@example.test", "a@example.test", "d@example.test"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, text := range []string{"", "x", "1", "-1.a", "201.a", "5.", "5.\x00", "5.\xff"} {
		if c := abuse.ParseCursor(text); c != (abuse.Cursor{}) {
			t.Errorf("%q is %+v", text, c)
		}
	}
}
