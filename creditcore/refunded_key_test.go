package creditcore_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
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
	err = dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		keyed.AppID = "app"
		_, err := l.DebitTx(t.Context(), tx, keyed)
		return err
	})
	if !errors.Is(err, creditcore.ErrKeyRefunded) {
		t.Errorf("in a transaction of the caller's: %v", err)
	}
	l.wantAvailable(alice, 100)
}

// The key of a settled hold lets nothing pass any more once its charge came back.
func TestKeyOfARefundedHold(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	keyed := creditcore.Hold{UserID: alice, Amount: 10, AppID: "app", Key: "k"}
	charge, err := l.Settle(t.Context(), l.hold(keyed).ID, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []creditcore.Amount{3, 5} {
		if h, err := l.Hold(t.Context(), keyed); err != nil || !h.Replayed {
			t.Errorf("a charge that stands in part: %+v, %v", h, err)
		}
		if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, EntryID: charge.Entry.ID}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := l.Hold(t.Context(), keyed); !errors.Is(err, creditcore.ErrKeyRefunded) {
		t.Errorf("a refunded charge again: %v", err)
	}
	other := keyed
	other.Request = "another"
	if _, err := l.Hold(t.Context(), other); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("another request under its key: %v", err)
	}
	l.wantAvailable(alice, 100)
}
