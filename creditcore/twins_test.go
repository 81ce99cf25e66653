package creditcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
)

// Of debits under one key that are in one batch the first charges; the others
// replay it, or are refused where they are other requests. None fails the batch.
func TestTwinsInOneBatch(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 100), l.user("bob", 100)
	debit := func(user string, amount creditcore.Amount, key string) creditcore.Debit {
		return creditcore.Debit{UserID: user, Amount: amount, AppID: "app", Key: key}
	}
	receipts, errs, err := l.DebitTogether(t.Context(), debit(alice, 10, "k"), debit(alice, 10, "k"), debit(alice, 20, "k"),
		debit(alice, 1, ""), debit(alice, 1, ""), debit(alice, 10, "other"), debit(bob, 10, "k"))
	if err != nil {
		t.Fatal(err)
	}
	for i, replayed := range []bool{false, true, false, false, false, false, false} {
		if wantErr := i == 2; wantErr != errors.Is(errs[i], creditcore.ErrKeyReused) || !wantErr && errs[i] != nil || receipts[i].Replayed != replayed {
			t.Errorf("%d: %+v, %v", i, receipts[i], errs[i])
		}
	}
	if receipts[1].Entry.ID != receipts[0].Entry.ID {
		t.Errorf("the twin got %s, want %s", receipts[1].Entry.ID, receipts[0].Entry.ID)
	}
	l.wantAvailable(alice, 78)
	l.wantAvailable(bob, 90)
}
