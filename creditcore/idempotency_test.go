package creditcore_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

// Every write takes a key: the second answer is the first, and nothing moves.
func TestRefundIsIdempotent(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	charge := l.spend(alice, 50)
	f := creditcore.Refund{UserID: alice, Amount: 20, EntryID: charge.Entry.ID, AppID: "app", Key: "k"}
	concurrently(16, func(int) {
		if _, err := l.Refund(t.Context(), f); err != nil {
			t.Error(err)
		}
	})
	l.wantAvailable(alice, 70)
	other := f
	other.Amount = 10
	if _, err := l.Refund(t.Context(), other); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("other amount: %v", err)
	}
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 20, Key: "k"}); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("the key of a refund for a debit: %v", err)
	}
}

func TestGrantIsIdempotent(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	keyed := creditcore.Grant{UserID: alice, Amount: 5, Key: "k"}
	internal := creditcore.Grant{UserID: alice, Amount: 7, InternalKey: "purchase:1"}
	concurrently(16, func(i int) {
		g := keyed
		if i%2 == 0 {
			g = internal
		}
		g.Type, g.Source = creditcore.Purchase, creditcore.SourcePurchase
		if _, err := l.Grant(t.Context(), g); err != nil {
			t.Error(err)
		}
	})
	l.wantAvailable(alice, 12)
}

// A client that takes the name of an internal key takes nothing else.
func TestInternalKeysAreApart(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1, Key: "purchase:1"}); err != nil {
		t.Fatal(err)
	}
	l.grant(creditcore.Grant{UserID: alice, Amount: 5, InternalKey: "purchase:1"})
	l.wantAvailable(alice, 14)
}

// The balance of a user who closed their account stays as it is; nobody opens
// another for them.
func TestDeletedUserGetsNoAccount(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.exec(`UPDATE auth.users SET deleted_at = $1`, time.Now())
	if _, err := l.BalanceOf(t.Context(), alice); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("balance: %v", err)
	}
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("debit: %v", err)
	}
	if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 1}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("hold: %v", err)
	}
}
