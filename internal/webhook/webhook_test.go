package webhook_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/webhook"
)

// What happens is told to every endpoint that wants it, signed, once it is committed.
func TestWebhooksAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.users("before")
	if n := w.count(`mana.webhook_events`); n != 0 {
		t.Errorf("%d events are noted for nobody", n)
	}
	every, some := newReceiver(t, nil), newReceiver(t, nil)
	all, secret := w.create(webhook.Endpoint{URL: every.URL + "/in?a=b", Description: "  all "})
	every.trust(secret)
	few, secret := w.create(webhook.Endpoint{URL: some.URL, Types: []string{"user.disabled", "user.disabled"}})
	some.trust(secret)
	if all.Description != "all" || len(few.Types) != 1 {
		t.Errorf("made %+v and %+v", all, few)
	}
	if n := w.count(`mana.webhook_endpoints AS e WHERE position(substr($1, 8) IN convert_from(e.secret, 'UTF8')) = 0`, secret); n != 1 {
		t.Errorf("%d secrets are another one", n)
	}
	w.start(nil)
	w.users("ada")
	undo := errors.New("undo")
	if err := w.pool().InTx(t.Context(), dbSystem, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE auth.users SET disabled_at = now() WHERE id = 'before'`); err != nil {
			return err
		}
		return undo
	}); !errors.Is(err, undo) {
		t.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('mana.silent', 'import', true)`)
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO auth.users (id, name, email) VALUES ('imported', '', 'imported@example.test')`)
		}
		return err
	})
	w.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = 'ada'`)
	w.wait("both events, and one", func() bool { return len(every.all()) >= 2 && len(some.all()) >= 1 })
	if types := every.types(); types != "user.created user.disabled" {
		t.Errorf("told %s", types)
	}
	if types := some.types(); types != "user.disabled" || some.all()[0].ID != every.all()[1].ID || !strings.HasPrefix(some.all()[0].ID, "evt_") {
		t.Errorf("told %s", types)
	}
	if raw := every.all()[1].Raw; !strings.HasPrefix(raw, `{"type":"user.disabled","timestamp":"20`) || !strings.HasSuffix(raw, `Z","data":{"userId": "ada"}}`) && !strings.HasSuffix(raw, `Z","data":{"userId":"ada"}}`) {
		t.Errorf("body %s", raw)
	}
	w.wait("both deliveries on record", func() bool { return w.count(`mana.outbox WHERE sent_at IS NULL`) == 0 })
	list, err := w.hooks.Deliveries(t.Context(), all.ID, 0, 10)
	if err != nil || len(list) != 2 || list[0].Type != "user.disabled" || list[0].State != webhook.Delivered || list[0].Tries != 1 || list[0].LastAnswer != "204" {
		t.Errorf("deliveries %+v, %v", list, err)
	}
	if list, err = w.hooks.Deliveries(t.Context(), all.ID, list[0].Sequence, 10); err != nil || len(list) != 1 || list[0].Type != "user.created" {
		t.Errorf("the page after it %+v, %v", list, err)
	}
}

// Two edges, one of which ends in the midst of its work, and an endpoint that is away at
// first, slow at times and answers 500 at random: each event comes at least once, under
// one id, and in the order of its subject.
func TestTroubledEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var away atomic.Bool
	away.Store(true)
	r := newReceiver(t, func(req *http.Request, _ int) int {
		switch {
		case away.Load():
			return http.StatusServiceUnavailable
		case rand.N(3) == 0:
			return http.StatusInternalServerError
		case rand.N(10) == 0:
			select {
			case <-time.After(300 * time.Millisecond):
			case <-req.Context().Done():
			}
		}
		return http.StatusOK
	})
	_, secret := w.create(webhook.Endpoint{URL: r.URL})
	r.trust(secret)
	stop := w.run(w.edge(nil))
	w.run(w.edge(nil))
	people := []string{"ada", "bob", "cat", "dan"}
	w.users(people...)
	const rounds = 6
	for range rounds {
		for _, id := range people {
			w.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = $1`, id)
			w.exec(`UPDATE auth.users SET disabled_at = NULL WHERE id = $1`, id)
		}
	}
	w.wait("some tries in vain", func() bool { return r.attempts() > 10 })
	away.Store(false)
	w.wait("some deliveries", func() bool { return len(r.all()) > 5 })
	stop()
	w.wait("everything on record", func() bool {
		return w.count(`mana.webhook_deliveries WHERE delivered_at IS NOT NULL`) == int64(len(people)*(1+2*rounds))
	})

	for _, id := range people {
		var order []string // ids as they came first
		types := map[string]string{}
		for _, g := range r.all() {
			if g.Subject != id {
				continue
			}
			if known, ok := types[g.ID]; ok && known != g.Type {
				t.Errorf("%s is %s and %s", g.ID, known, g.Type)
			}
			if types[g.ID] == "" {
				order = append(order, g.ID)
			}
			types[g.ID] = g.Type
		}
		if len(order) != 1+2*rounds {
			t.Fatalf("%s: %d events came, want %d", id, len(order), 1+2*rounds)
		}
		for i, event := range order {
			want := "user.enabled"
			switch {
			case i == 0:
				want = "user.created"
			case i%2 == 1:
				want = "user.disabled"
			}
			if types[event] != want {
				t.Errorf("%s: event %d is %s, want %s", id, i, types[event], want)
			}
		}
	}
}

// An event that an endpoint refuses holds up its subject there, and nobody else.
func TestOneSubjectHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var refusing atomic.Bool
	refusing.Store(true)
	r := newReceiver(t, func(*http.Request, int) int { return http.StatusOK })
	picky := newReceiver(t, nil)
	r.answer, picky.answer = nil, func(*http.Request, int) int {
		if refusing.Load() {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	_, secret := w.create(webhook.Endpoint{URL: r.URL})
	r.trust(secret)
	failing, secret := w.create(webhook.Endpoint{URL: picky.URL})
	picky.trust(secret)
	w.start(nil)
	w.users("ada")
	w.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = 'ada'`)
	w.wait("the other endpoint", func() bool { return r.types() == "user.created user.disabled" })
	w.wait("tries in vain", func() bool { return picky.attempts() > 2 })
	list, err := w.hooks.Deliveries(t.Context(), failing.ID, 0, 10)
	if err != nil || len(list) != 2 || list[0].Tries != 0 || list[0].State != webhook.Waiting || list[1].Tries == 0 || list[1].NextTryAt == nil || !strings.HasPrefix(list[1].LastAnswer, "the endpoint answers 500") {
		t.Errorf("deliveries %+v, %v", list, err)
	}
	if e, err := w.hooks.Find(t.Context(), failing.ID); err != nil || e.FailingSince == nil {
		t.Errorf("%+v, %v", e, err)
	}
	refusing.Store(false)
	w.wait("both", func() bool { return len(picky.all()) == 2 })
	w.wait("an end to failing", func() bool {
		e, err := w.hooks.Find(t.Context(), failing.ID)
		return err == nil && e.FailingSince == nil
	})
}

// Nothing reaches an address that is not public, whatever its name leads to on
// connecting, and no redirect is followed.
func TestWebhooksReachPublicAddressesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var reached atomic.Int64
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	byName, _ := w.create(webhook.Endpoint{URL: "https://localhost:" + port})
	byNumber, _ := w.create(webhook.Endpoint{URL: inside.URL})
	stop := w.run(w.edge(func(c *webhook.Config) { c.Networks = nil }))
	w.users("ada")
	for _, e := range []webhook.Endpoint{byName, byNumber} {
		w.wait("a refusal of "+e.URL, func() bool {
			list, err := w.hooks.Deliveries(t.Context(), e.ID, 0, 1)
			return err == nil && len(list) == 1 && strings.Contains(list[0].LastAnswer, "not a public address")
		})
	}

	stop()
	for _, e := range []webhook.Endpoint{byName, byNumber} {
		w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.hooks.DeleteTx(ctx, tx, e.ID) })
	}

	// Where this network is listed, a redirect is an answer like any other.
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(target.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	moved, _ := w.create(webhook.Endpoint{URL: redirecting.URL})
	w.start(nil)
	w.users("bob")
	w.wait("a redirect that is refused", func() bool {
		list, err := w.hooks.Deliveries(t.Context(), moved.ID, 0, 1)
		return err == nil && len(list) == 1 && strings.HasPrefix(list[0].LastAnswer, "the endpoint answers 307")
	})
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests came inside", n)
	}
}

// Faults of endpoints are told apart.
func TestEndpointsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *webhook.Config) { c.Networks = nil })
	for name, e := range map[string]webhook.Endpoint{
		"no URL": {}, "http": {URL: "http://example.com/"}, "a password": {URL: "https://a:b@example.com/"}, "a fragment": {URL: "https://example.com/#x"},
		"another scheme": {URL: "ftp://example.com/"}, "a blank": {URL: "https://example.com/a b"}, "no host": {URL: "https:///a"},
		"too long": {URL: "https://example.com/" + strings.Repeat("a", 2000)}, "an unknown type": {URL: "https://example.com/", Types: []string{"user.born"}},
		"a description that draws": {URL: "https://example.com/", Description: "a\x1b[2J"},
	} {
		err := w.pool().InTx(t.Context(), dbSystem, func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := w.hooks.CreateTx(ctx, tx, e)
			return err
		})
		if !errors.Is(err, webhook.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 50 {
		w.create(webhook.Endpoint{URL: "https://example.com/"})
	}
	if err := w.pool().InTx(t.Context(), dbSystem, func(ctx context.Context, tx pgx.Tx) error {
		_, _, err := w.hooks.CreateTx(ctx, tx, webhook.Endpoint{URL: "https://example.com/"})
		return err
	}); !errors.Is(err, webhook.ErrTooMany) {
		t.Errorf("the 51st: %v", err)
	}
}

// A secret that is rotated signs beside the new one for a day; both lie sealed by the
// first key.
func TestRotationOfSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	e, before := w.create(webhook.Endpoint{URL: r.URL})
	var after string
	w.tx(func(ctx context.Context, tx pgx.Tx) (err error) {
		after, err = w.hooks.RotateTx(ctx, tx, e.ID)
		return err
	})
	if before == after {
		t.Fatal("the secret is the same")
	}
	r.trust(before)
	w.start(func(c *webhook.Config) { c.Sealer, c.SealedBy = sealer("b:"), "b:" })
	w.users("ada")
	w.wait("a request with both signatures", func() bool { return len(r.all()) == 1 && r.all()[0].Signatures == 2 })
	r.trust(after)
	w.users("bob")
	w.wait("a request that the new one has signed", func() bool { return len(r.all()) == 2 })
	if n := w.count(`mana.webhook_endpoints AS e WHERE starts_with(convert_from(e.secret, 'UTF8'), 'b:') AND starts_with(convert_from(e.previous_secret, 'UTF8'), 'b:')`); n != 1 {
		t.Error("the secrets are not sealed anew")
	}
	w.exec(`UPDATE mana.webhook_endpoints SET previous_until = now()`)
	w.users("cat")
	w.wait("a request with one signature", func() bool { return len(r.all()) == 3 && r.all()[2].Signatures == 1 })
}

// An endpoint that fails for three days is disabled, and so is one that says it is gone;
// the others are told, and what it missed is replayed under the same ids.
func TestEndpointsThatFailForLong(t *testing.T) {
	t.Parallel()
	var disabled atomic.Int64
	w := newWorld(t, nil)
	status := atomic.Int64{}
	status.Store(http.StatusBadGateway)
	r := newReceiver(t, func(*http.Request, int) int { return int(status.Load()) })
	watcher := newReceiver(t, nil)
	e, secret := w.create(webhook.Endpoint{URL: r.URL})
	r.trust(secret)
	_, secret = w.create(webhook.Endpoint{URL: watcher.URL, Types: []string{webhook.TypeDisabled}})
	watcher.trust(secret)
	w.start(func(c *webhook.Config) {
		c.Disabled = func(context.Context, pgx.Tx, string, string) error { disabled.Add(1); return nil }
	})
	w.users("ada")
	w.wait("a failure", func() bool { return r.attempts() > 1 })
	w.exec(`UPDATE mana.webhook_endpoints SET failing_since = failing_since - interval '71 hours' WHERE failing_since IS NOT NULL`)
	attempts := r.attempts()
	w.wait("another failure", func() bool { return r.attempts() > attempts+1 })
	if found, err := w.hooks.Find(t.Context(), e.ID); err != nil || found.DisabledAt != nil {
		t.Fatalf("disabled too early: %+v, %v", found, err)
	}
	w.exec(`UPDATE mana.webhook_endpoints SET failing_since = failing_since - interval '1 hour' WHERE failing_since IS NOT NULL`)
	w.wait("the end", func() bool {
		found, err := w.hooks.Find(t.Context(), e.ID)
		return err == nil && found.DisabledAt != nil
	})
	w.wait("the others to be told", func() bool { return watcher.types() == webhook.TypeDisabled && disabled.Load() == 1 })
	if told := watcher.all()[0]; told.Data["endpointId"] != e.ID || told.Data["reason"] != "it has failed for 3 days" {
		t.Errorf("told %v", told.Data)
	}
	w.users("bob")
	w.wait("what is not for it", func() bool { return w.count(`mana.webhook_events WHERE relayed_at IS NULL`) == 0 })
	list, err := w.hooks.Deliveries(t.Context(), e.ID, 0, 10)
	if err != nil || len(list) != 1 || list[0].State != webhook.GivenUp {
		t.Fatalf("deliveries %+v, %v", list, err)
	}
	replay := func(event string, since time.Time) (n int, err error) {
		err = w.pool().InTx(t.Context(), dbSystem, func(ctx context.Context, tx pgx.Tx) (err error) {
			n, err = w.hooks.ReplayTx(ctx, tx, e.ID, event, since)
			return err
		})
		w.hooks.Wake()
		return n, err
	}
	if _, err := replay("", time.Time{}); !errors.Is(err, webhook.ErrDisabled) {
		t.Errorf("a replay to a disabled one: %v", err)
	}
	status.Store(http.StatusOK)
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.hooks.EnableTx(ctx, tx, e.ID) })
	if n, err := replay("", time.Now().Add(-time.Hour)); err != nil || n != 3 { // ada, the end, bob
		t.Fatalf("%d events are replayed, %v", n, err)
	}
	w.wait("what it missed", func() bool { return len(r.all()) == 3 })
	ids := []string{}
	for _, g := range r.all() {
		ids = append(ids, g.ID)
	}
	if !slices.Contains(ids, list[0].EventID) {
		t.Errorf("%s has another id now: %v", list[0].EventID, ids)
	}
	w.wait("all of it on record", func() bool { return w.count(`mana.webhook_deliveries WHERE delivered_at IS NULL`) == 0 })
	if n, err := replay("", time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("%d events are replayed that came, %v", n, err)
	}
	if n, err := replay(list[0].EventID, time.Time{}); err != nil || n != 1 {
		t.Errorf("one that came: %d, %v", n, err)
	}
	w.wait("it once more", func() bool { return len(r.all()) == 4 && r.all()[3].ID == list[0].EventID })
	for event, want := range map[string]error{"evt_nothing": webhook.ErrNoDelivery} {
		if _, err := replay(event, time.Time{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", event, err)
		}
	}

	// 410 is the end at once.
	status.Store(http.StatusGone)
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.hooks.TestTx(ctx, tx, e.ID) })
	w.wait("the end at once", func() bool {
		found, err := w.hooks.Find(t.Context(), e.ID)
		return err == nil && found.DisabledAt != nil && *found.DisabledReason == "it answered 410 Gone"
	})
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.hooks.DeleteTx(ctx, tx, e.ID) })
	if n := w.count(`mana.webhook_deliveries WHERE endpoint_id = $1`, e.ID) + w.count(`mana.outbox WHERE channel = 'webhook:' || $1`, e.ID); n != 0 {
		t.Errorf("%d rows of a deleted endpoint are left", n)
	}
}

// Events go when they are older than they are kept, but for those that wait.
func TestEventsArePruned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, func(*http.Request, int) int { return http.StatusInternalServerError })
	_, secret := w.create(webhook.Endpoint{URL: r.URL, Types: []string{"user.disabled"}})
	r.trust(secret)
	stop := w.run(w.edge(nil))
	w.users("ada", "bob")
	w.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = 'ada'`)
	w.wait("a try in vain", func() bool { return r.attempts() > 0 })
	stop()
	w.exec(`UPDATE mana.webhook_events SET created_at = created_at - interval '2 hours' WHERE subject = 'ada'`)
	w.start(func(c *webhook.Config) { c.Retention = time.Hour })
	w.wait("old events to go", func() bool {
		return w.count(`mana.webhook_events WHERE type = 'user.created' AND subject = 'ada'`) == 0
	})
	if n := w.count(`mana.webhook_events`); n != 2 { // what waits, and what is young
		t.Errorf("%d events are left", n)
	}
}
