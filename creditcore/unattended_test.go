package creditcore_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

func (l *ledger) reserve(userID string, amount creditcore.Amount, ttl time.Duration) creditcore.Held {
	l.t.Helper()
	held, err := l.Reserve(l.t.Context(), creditcore.Hold{UserID: userID, Amount: amount, AppID: "chat", Operation: "image", Description: "An image", TTL: ttl})
	if err != nil {
		l.t.Fatalf("reserve: %v", err)
	}
	return held
}

func TestReservationIsChargedInPart(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	held := l.reserve(alice, 7, time.Minute)
	if held.Balance.Available != 3 {
		t.Errorf("reserved: %+v", held.Balance)
	}
	part := creditcore.Amount(8)
	if _, err := l.Commit(t.Context(), held.ID, &part, ""); !errors.As(err, new(*creditcore.ExceedsError)) {
		t.Errorf("more than was reserved: %v", err)
	}
	part = 0
	if _, err := l.Commit(t.Context(), held.ID, &part, ""); !errors.Is(err, creditcore.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
	part = 2
	r, err := l.Commit(t.Context(), held.ID, &part, "Two of them")
	if err != nil || r.Entry.Amount != -2 || r.Entry.Description != "Two of them" || r.Entry.AppID != "chat" || r.Entry.Operation != "image" || r.Balance.Available != 8 {
		t.Errorf("commit: %+v, %v", r, err)
	}
	var resolved *creditcore.ResolvedError
	if _, err = l.Commit(t.Context(), held.ID, nil, ""); !errors.As(err, &resolved) || err.Error() != "Cannot commit reservation in status: committed" {
		t.Errorf("twice: %v", err)
	}
	if _, err = l.Cancel(t.Context(), held.ID); !errors.As(err, &resolved) || err.Error() != "Cannot refund reservation in status: committed" {
		t.Errorf("given back after: %v", err)
	}
	if b, _ := l.BalanceOf(t.Context(), alice); b.Available != 8 {
		t.Errorf("in the end: %+v", b)
	}
}

func TestReservationComesBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	held := l.reserve(alice, 7, time.Minute)
	if b, err := l.Cancel(t.Context(), held.ID); err != nil || b.Available != 10 {
		t.Errorf("cancel: %+v, %v", b, err)
	}
	for _, err := range []error{
		second(l.Cancel(t.Context(), held.ID)), second(l.Commit(t.Context(), held.ID, nil, "")),
	} {
		if resolved := (*creditcore.ResolvedError)(nil); !errors.As(err, &resolved) || resolved.State != "refunded" {
			t.Errorf("afterwards: %v", err)
		}
	}
	for _, id := range []string{"", "nobody", "a\x00b", l.hold(creditcore.Hold{UserID: alice, Amount: 1}).ID} {
		if err := second(l.Cancel(t.Context(), id)); !errors.Is(err, creditcore.ErrHoldNotFound) {
			t.Errorf("cancel %q: %v", id, err)
		}
		if err := second(l.Commit(t.Context(), id, nil, "")); !errors.Is(err, creditcore.ErrHoldNotFound) {
			t.Errorf("commit %q: %v", id, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A reservation ends with its time, though the process that made it lives on.
// It may still be charged while there are credits for it.
func TestReservationEndsByItself(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	first, other := l.reserve(alice, 4, 50*time.Millisecond), l.reserve(alice, 6, 50*time.Millisecond)
	eventually(t, "the reservations end", func() bool {
		_ = l.Prolong(t.Context())
		l.Reap(t.Context())
		b, err := l.BalanceOf(t.Context(), alice)
		return err == nil && b.Available == 10
	})
	if r, err := l.Commit(t.Context(), first.ID, nil, ""); err != nil || r.Entry.Amount != -4 || r.Balance.Available != 6 {
		t.Errorf("late: %+v, %v", r, err)
	}
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1}); err != nil {
		t.Fatal(err)
	}
	if err := second(l.Commit(t.Context(), other.ID, nil, "")); !short(err) {
		t.Errorf("late, and too few: %v", err)
	}
	if b, err := l.Cancel(t.Context(), other.ID); err != nil || b.Available != 5 {
		t.Errorf("cancelled when it was over: %+v, %v", b, err)
	}
}

// Whoever comes first resolves a reservation; the others are told.
func TestReservationResolvesOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for range 10 {
		alice := l.user(unique(), 10)
		held := l.reserve(alice, 7, time.Minute)
		var done atomic.Int32
		concurrently(16, func(i int) {
			err := patiently(func() error {
				if i%2 == 0 {
					return second(l.Commit(t.Context(), held.ID, nil, ""))
				}
				return second(l.Cancel(t.Context(), held.ID))
			})
			switch {
			case err == nil:
				done.Add(1)
			case !errors.As(err, new(*creditcore.ResolvedError)):
				t.Error(err)
			}
		})
		if done.Load() != 1 {
			t.Errorf("%d were told that they did it", done.Load())
		}
		if b, _ := l.BalanceOf(t.Context(), alice); b.Available != 10 && b.Available != 3 {
			t.Errorf("balance %+v", b)
		}
	}
}
