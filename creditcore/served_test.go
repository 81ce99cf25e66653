package creditcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
)

// What was served is paid with what there is, and owed beyond that, once,
// however often it is booked.
func TestDebitOfWhatWasServed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for name, have := range map[string]creditcore.Amount{"enough": 12, "a part": 4, "nothing": 0} {
		user := l.user(name, have)
		d := creditcore.Debit{UserID: user, Amount: 10, AppID: "app"}
		want := creditcore.Served{Paid: min(have, 10), Owed: max(0, 10-have)}
		concurrently(8, func(int) {
			if got, err := l.DebitServed(t.Context(), d, "request:"+user); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
			}
		})
		if b := l.balance(user); b.Debt != want.Owed || b.Available != have-want.Paid {
			t.Errorf("%s: %+v", name, b)
		}
		l.grant(creditcore.Grant{UserID: user, Amount: 20})
		if b := l.balance(user); b.Debt != 0 || b.Available != have+20-10 {
			t.Errorf("%s, with 20 more: %+v", name, b)
		}
	}
	if _, err := l.DebitServed(t.Context(), creditcore.Debit{UserID: "enough", Amount: 1, AppID: "app"}, ""); !errors.Is(err, creditcore.ErrInvalid) {
		t.Errorf("without a reference: %v", err)
	}
}

// What holds reserve pays for nothing else.
func TestDebitOfWhatWasServedSparesHolds(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	h := l.hold(creditcore.Hold{UserID: alice, Amount: 8})
	if got, err := l.DebitServed(t.Context(), creditcore.Debit{UserID: alice, Amount: 5, AppID: "app"}, "r"); err != nil || got != (creditcore.Served{Paid: 2, Owed: 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := l.Settle(t.Context(), h.ID, 6, nil); err != nil {
		t.Fatal(err)
	}
	if b := l.balance(alice); b.Available != 0 || b.Debt != 1 {
		t.Errorf("%+v", b)
	}
}
