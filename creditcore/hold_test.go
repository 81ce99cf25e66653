package creditcore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

func (l *ledger) hold(h creditcore.Hold) creditcore.Held {
	l.t.Helper()
	held, err := l.Hold(l.t.Context(), h)
	if err != nil {
		l.t.Fatalf("hold: %v", err)
	}
	return held
}

func TestHeldCreditsAreNotAvailable(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	h := l.hold(creditcore.Hold{UserID: alice, Amount: 7})
	if h.Balance.Available != 3 || h.Balance.TotalSpent != 7 {
		t.Errorf("balance: %+v", h.Balance)
	}
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 4}); !short(err) {
		t.Errorf("debit: %v", err)
	}
	if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 4}); !short(err) {
		t.Errorf("second hold: %v", err)
	}
	r, err := l.Settle(t.Context(), h.ID, 2, json.RawMessage(`{"tokens": 17}`))
	if err != nil || r.Entry.Amount != -2 || r.Balance.Available != 8 || !strings.Contains(string(r.Entry.Metadata), "17") {
		t.Errorf("settle: %+v, %v", r, err)
	}
}

// Whoever comes first resolves the hold; nobody comes second.
func TestHoldResolvesOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for range 10 {
		alice := l.user(unique(), 10)
		h := l.hold(creditcore.Hold{UserID: alice, Amount: 7})
		concurrently(16, func(i int) {
			err := patiently(func() error {
				if i%2 == 0 {
					return second(l.Settle(t.Context(), h.ID, 5, nil))
				}
				return second(l.Release(t.Context(), h.ID))
			})
			if err != nil {
				t.Error(err)
			}
		})
		// A release that came first makes the settlement a late one: charged once either way.
		l.wantAvailable(alice, 5)
	}
}

func TestReleaseAfterSettleHasNoEffect(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	h := l.hold(creditcore.Hold{UserID: alice, Amount: 7})
	for range 2 {
		if r, err := l.Settle(t.Context(), h.ID, 99, nil); err != nil || r.Entry.Amount != -7 {
			t.Errorf("settle: %+v, %v", r, err)
		}
	}
	if b, err := l.Release(t.Context(), h.ID); err != nil || b.Available != 3 {
		t.Errorf("release: %+v, %v", b, err)
	}
	if _, err := l.Release(t.Context(), "x"); !errors.Is(err, creditcore.ErrHoldNotFound) {
		t.Errorf("unknown hold: %v", err)
	}
	if _, err := l.Settle(t.Context(), "x", 1, nil); !errors.Is(err, creditcore.ErrHoldNotFound) {
		t.Errorf("unknown hold: %v", err)
	}
}

func TestSettleWithNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	h := l.hold(creditcore.Hold{UserID: alice, Amount: 7})
	if r, err := l.Settle(t.Context(), h.ID, 0, nil); err != nil || r.Entry.ID != "" || r.Balance.Available != 10 {
		t.Errorf("settle: %+v, %v", r, err)
	}
	if r, err := l.Settle(t.Context(), h.ID, 5, nil); err != nil || !r.Replayed {
		t.Errorf("second settle: %+v, %v", r, err)
	}
	l.wantAvailable(alice, 10)
}

// runFast runs the jobs of a service often.
func runFast(t *testing.T, l *ledger) *creditcore.Service {
	s := creditcore.New(creditcore.Config{ReapEvery: 20 * time.Millisecond, ExpireEvery: 20 * time.Millisecond},
		creditcore.Deps{Pool: l.db.Pool})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A hold whose owner died comes back by itself, and a settlement that comes
// too late takes what it finds.
func TestReaperAndLateSettlement(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	h := l.hold(creditcore.Hold{UserID: alice, Amount: 7, TTL: time.Millisecond})
	for range 2 {
		runFast(t, l)
	}
	eventually(t, "the hold is given back", func() bool { return l.balance(alice).Held == 0 })
	l.wantAvailable(alice, 10)
	l.spend(alice, 8)
	r, err := l.Settle(t.Context(), h.ID, 5, nil)
	if err != nil || r.Entry.Amount != -2 || !strings.Contains(string(r.Entry.Metadata), `"shortfall": 0.003,`) {
		t.Errorf("late settle: %+v, %v", r, err)
	}
	if r, err := l.Settle(t.Context(), h.ID, 5, nil); err != nil || !r.Replayed {
		t.Errorf("second late settle: %+v, %v", r, err)
	}
	l.wantAvailable(alice, 0)
}

func TestJobExpiresUntouchedLots(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, ExpiresAt: in(time.Millisecond)})
	runFast(t, l)
	eventually(t, "the lot has expired", func() bool {
		list, err := l.History(t.Context(), creditcore.Caller{UserID: alice}, 1, 0)
		return err == nil && list[0].Type == creditcore.Expiry
	})
}

func TestAttemptsUnderAKeyShareOneCharge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	request := creditcore.Hold{UserID: alice, Amount: 7, Key: "k", Request: "POST /a"}
	var joined, spent atomic.Int32
	held := make(chan creditcore.Held, 32)
	concurrently(32, func(int) {
		h, err := retried(func() (creditcore.Held, error) { return l.Hold(t.Context(), request) })
		switch {
		case errors.Is(err, creditcore.ErrKeySpent):
			spent.Add(1)
			return
		case err != nil:
			t.Error(err)
		case h.Replayed:
			joined.Add(1)
		}
		held <- h
	})
	if joined.Load() != 2 || spent.Load() != 29 {
		t.Fatalf("%d joined, for %d the key was spent", joined.Load(), spent.Load())
	}
	other := request
	other.Request = "POST /b"
	if _, err := l.Hold(t.Context(), other); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("other request: %v", err)
	}
	// All but one fail: nothing comes back while one may still succeed.
	last := <-held
	for range 2 {
		if _, err := l.Release(t.Context(), (<-held).ID); err != nil {
			t.Fatal(err)
		}
	}
	l.wantAvailable(alice, 3)
	if _, err := l.Settle(t.Context(), last.ID, 7, nil); err != nil {
		t.Fatal(err)
	}
	again := l.hold(request)
	if again.Settled == nil || *again.Settled != 7 {
		t.Errorf("a retry after success: %+v", again)
	}
	l.wantAvailable(alice, 3)
}

// A key is good for three passes, of which one that comes to nothing is none.
func TestKeyIsSpentAfterThreePasses(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 20)
	request := creditcore.Hold{UserID: alice, Amount: 7, Key: "k", Request: "POST /a"}
	if _, err := l.Settle(t.Context(), l.hold(request).ID, 7, nil); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := l.Release(t.Context(), l.hold(request).ID); err != nil {
			t.Fatal(err)
		}
	}
	l.hold(request)
	last := l.hold(request)
	if _, err := l.Hold(t.Context(), request); !errors.Is(err, creditcore.ErrKeySpent) {
		t.Errorf("the fourth: %v", err)
	}
	if _, err := l.Release(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	l.hold(request)
	l.wantAvailable(alice, 13)
}

// The first settlement says which body a key stands for; more becomes known of
// it only by who knows what was known.
func TestBodyOfAKey(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 20)
	request := creditcore.Hold{UserID: alice, Amount: 7, Key: "k", Request: "POST /a"}
	first, second := l.hold(request), l.hold(request)
	for _, body := range []string{"first", "second"} {
		r, err := l.SettleBody(t.Context(), first.ID, 7, nil, []byte(body))
		if err != nil || string(r.Body) != "first" || r.Replayed != (body == "second") {
			t.Errorf("%s: %q, replayed %v, %v", body, r.Body, r.Replayed, err)
		}
	}
	for _, c := range []struct{ was, body, known string }{{"x", "y", "first"}, {"first", "more", "more"}, {"first", "other", "more"}} {
		known, err := l.MarkBody(t.Context(), second.ID, []byte(c.was), []byte(c.body))
		if err != nil || string(known) != c.known {
			t.Errorf("%+v: %q, %v", c, known, err)
		}
	}
	if third := l.hold(request); string(third.Body) != "more" {
		t.Errorf("the third: %+v", third)
	}
	if _, err := l.MarkBody(t.Context(), "x", nil, []byte("y")); !errors.Is(err, creditcore.ErrHoldNotFound) {
		t.Errorf("no hold: %v", err)
	}
}

// The key of an attempt that failed is free, and that of one whose hold
// expired: the retry is charged, the first one then is not.
func TestRetryAfterFailureIsCharged(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	request := creditcore.Hold{UserID: alice, Amount: 7, Key: "k", Request: "POST /a", TTL: time.Millisecond}
	first := l.hold(request)
	time.Sleep(5 * time.Millisecond)
	request.TTL = time.Minute
	second := l.hold(request)
	if second.Replayed || second.ID == first.ID {
		t.Fatalf("the retry: %+v", second)
	}
	if r, err := l.Settle(t.Context(), first.ID, 7, nil); err != nil || r.Entry.ID != "" {
		t.Errorf("the first, late: %+v, %v", r, err)
	}
	if _, err := l.Release(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	third := l.hold(request)
	if _, err := l.Settle(t.Context(), third.ID, 7, nil); err != nil || third.Replayed {
		t.Errorf("the third: %+v, %v", third, err)
	}
	l.wantAvailable(alice, 3)
}

// A key has ten minutes from its charge, and stands for a new request after a day.
func TestSettledKeyHasItsTime(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 20)
	request := creditcore.Hold{UserID: alice, Amount: 7, Key: "k", Request: "POST /a"}
	first := l.hold(request)
	if _, err := l.Settle(t.Context(), first.ID, 7, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age      string
		spent    bool
		replayed bool
	}{{"9 minutes", false, true}, {"11 minutes", true, false}, {"23 hours", true, false}, {"25 hours", false, false}} {
		l.exec(`UPDATE credits.holds SET resolved_at = now() - $1::text::interval WHERE id = $2`, c.age, first.ID)
		h, err := l.Hold(t.Context(), request)
		if errors.Is(err, creditcore.ErrKeySpent) != c.spent || err != nil && !c.spent || h.Replayed != c.replayed {
			t.Errorf("after %s: %+v, %v", c.age, h, err)
		}
	}
}

// What an open hold keeps of an expired lot goes with the hold, however that
// ends: nothing of it is left for the next one, or said to be.
func TestExpiredLotEndsWithItsHold(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for name, end := range map[string]func(string) creditcore.Balance{
		"settled": func(id string) creditcore.Balance {
			r, err := l.Settle(t.Context(), id, 10, nil)
			if err != nil {
				t.Error(err)
			}
			return r.Balance
		},
		"released": func(id string) creditcore.Balance {
			b, err := l.Release(t.Context(), id)
			if err != nil {
				t.Error(err)
			}
			return b
		},
		"expired": func(string) creditcore.Balance { return creditcore.Balance{} },
	} {
		user := l.user(name, 0)
		l.grant(creditcore.Grant{UserID: user, Amount: 100, ExpiresAt: in(time.Hour)})
		hold := creditcore.Hold{UserID: user, Amount: 100, Key: "k", Request: "r"}
		h, err := l.Hold(t.Context(), hold)
		if err != nil {
			t.Fatal(err)
		}
		l.due(user)
		if name == "expired" {
			l.exec(`UPDATE credits.holds SET expires_at = now() WHERE user_id = $1`, user)
		}
		if b := end(h.ID); b.Available != 0 {
			t.Errorf("%s: %s left", name, b.Available)
		}
		if name == "settled" {
			continue
		}
		if _, err := l.Hold(t.Context(), hold); !short(err) {
			t.Errorf("%s: held again: %v", name, err)
		}
	}
}

// A hold that could not be given back ends with its time, though the process that made
// it lives on.
func TestReleaseThatFailed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	held := l.hold(creditcore.Hold{UserID: alice, Amount: 7, TTL: 50 * time.Millisecond})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Release(gone, held.ID); err == nil {
		t.Fatal("released")
	}
	eventually(t, "the credits come back", func() bool {
		_ = l.Prolong(t.Context())
		l.Reap(t.Context())
		b, err := l.BalanceOf(t.Context(), alice)
		return err == nil && b.Available == 10
	})
}
