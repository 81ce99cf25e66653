package creditcore_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"mana.how/edge/creditcore"
)

// A hold reserves more as long as the account has it, and is charged once for all.
func TestExtendedHoldIsChargedOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ada := l.user("ada", 10)
	h := l.hold(creditcore.Hold{UserID: ada, Amount: 2})
	if b, open, err := l.Extend(t.Context(), h, 5); err != nil || !open || b.Available != 3 || b.Held != 7 {
		t.Errorf("extend: %+v, %v, %v", b, open, err)
	}
	var refused *creditcore.InsufficientError
	if _, _, err := l.Extend(t.Context(), h, 4); !errors.As(err, &refused) || refused.Required != 4 || refused.Available != 3 {
		t.Errorf("beyond the account: %+v, %v", refused, err)
	}
	if r, err := l.Settle(t.Context(), h.ID, 6, nil); err != nil || r.Entry.Amount != -6 || r.Balance.Available != 4 {
		t.Errorf("settle: %+v, %v", r, err)
	}
	if b, open, err := l.Extend(t.Context(), h, 1); err != nil || open || b.Available != 4 {
		t.Errorf("a settled hold: %+v, %v, %v", b, open, err)
	}
	h = l.hold(creditcore.Hold{UserID: ada, Amount: 1})
	if _, _, err := l.Extend(t.Context(), h, 3); err != nil {
		t.Error(err)
	}
	if b, err := l.Release(t.Context(), h.ID); err != nil || b.Available != 4 {
		t.Errorf("release: %+v, %v", b, err)
	}
	if _, _, err := l.Extend(t.Context(), creditcore.Held{ID: "x", Account: ada}, 1); !errors.Is(err, creditcore.ErrHoldNotFound) {
		t.Errorf("no hold: %v", err)
	}
	for _, amount := range []creditcore.Amount{0, -1, creditcore.MaxAmount + 1} {
		if _, _, err := l.Extend(t.Context(), h, amount); !errors.Is(err, creditcore.ErrInvalid) {
			t.Errorf("by %d: %v", amount, err)
		}
	}
	l.wantAvailable(ada, 4)
	l.sound()
}

// Extensions of two edges at once reserve exactly what an account has, and the budget
// of a key and a member's allotment bound them too.
func TestExtensionsKeepTheBounds(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
	extend := func(h creditcore.Held) (passed int64) {
		var n atomic.Int64
		concurrently(32, func(i int) {
			_, open, err := edges[i%2].Extend(t.Context(), h, creditcore.Credit)
			switch {
			case err == nil && open:
				n.Add(1)
			case !short(err):
				t.Error(err)
			}
		})
		return n.Load()
	}
	ada, bob := l.user("ada", creditcore.Credits(10)), l.user("bob", creditcore.Credits(100))
	h := l.hold(creditcore.Hold{UserID: ada, Amount: creditcore.Credit})
	if got := extend(h); got != 9 {
		t.Errorf("%d extensions of ten credits", got)
	}
	key := l.apiKey(bob, creditcore.Credits(10), "day")
	h = l.hold(creditcore.Hold{UserID: bob, Amount: creditcore.Credit, APIKey: key})
	if got := extend(h); got != 9 {
		t.Errorf("%d extensions of a budget of ten", got)
	}
	l.wantSpent(bob, key, creditcore.Credits(10))
	_, _, err := l.Extend(t.Context(), h, creditcore.Credit)
	wantKeyShort(t, err, creditcore.Credit, 0)
	if _, err := l.Settle(t.Context(), h.ID, 3500, nil); err != nil {
		t.Error(err)
	}
	l.wantSpent(bob, key, 3500)
	l.wantAvailable(bob, creditcore.Credits(100)-3500)

	l.organization("acme", creditcore.Credits(100))
	l.allot("acme", "acme-member", creditcore.Credits(10), creditcore.PerDay)
	h = l.hold(creditcore.Hold{UserID: "acme-member", Organization: "acme", Amount: creditcore.Credit})
	if got := extend(h); got != 9 {
		t.Errorf("%d extensions of an allotment of ten", got)
	}
	_, _, err = l.Extend(t.Context(), h, creditcore.Credit)
	wantShortOf(t, err, true, creditcore.Credit, 0)
	l.expel("acme", "acme-member")
	if _, _, err = l.Extend(t.Context(), h, creditcore.Credit); !errors.Is(err, creditcore.ErrNotMember) {
		t.Errorf("of who is no member any more: %v", err)
	}
	l.sound()
}
