package creditcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
)

// A key whose charge came back whole is no charge any more: it gets no success.
func TestKeyOfARefundedCharge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	keyed := creditcore.Debit{UserID: alice, Amount: 10, Key: "k"}
	charge, err := l.debit(keyed)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []creditcore.Amount{4, 6} {
		if r, err := l.debit(keyed); err != nil || !r.Replayed {
			t.Errorf("a charge that stands in part: %+v, %v", r, err)
		}
		if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, EntryID: charge.Entry.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.debit(keyed); !errors.Is(err, creditcore.ErrKeyRefunded) {
		t.Errorf("a refunded charge again: %v", err)
	}
	l.wantAvailable(alice, 100)
}
