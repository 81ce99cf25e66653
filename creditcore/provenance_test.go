package creditcore_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// A refund goes to the lots its charge was burnt from, not to those burnt last.
func TestRefundReturnsToTheLotsOfTheCharge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "soon", ExpiresAt: in(time.Hour)})
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "later", ExpiresAt: in(2 * time.Hour)})
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "never"})
	first, second, third := l.spend(alice, 6), l.spend(alice, 8), l.spend(alice, 9)
	l.wantLots(alice, amounts{"soon": 0, "later": 0, "never": 7})
	back := func(charge creditcore.Receipt, n creditcore.Amount) {
		t.Helper()
		if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, EntryID: charge.Entry.ID}); err != nil {
			t.Fatal(err)
		}
	}
	back(second, 5) // of four of "soon" and four of "later", the last first
	l.wantLots(alice, amounts{"soon": 1, "later": 4, "never": 7})
	back(first, 6)
	l.wantLots(alice, amounts{"soon": 7, "later": 4, "never": 7})
	back(third, 9)
	l.wantLots(alice, amounts{"soon": 7, "later": 10, "never": 10})
	back(second, 3)
	l.wantLots(alice, amounts{"soon": 10, "later": 10, "never": 10})
}

// Credits that come back after the end of their lot do not become those of
// another lot, nor credits for ever.
func TestWhatComesBackLateHas72HoursOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Source: creditcore.SourceSubscription, Reference: "short", ExpiresAt: in(time.Hour)})
	first := l.spend(alice, 10)
	l.due(alice)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "never"})
	l.spend(alice, 10) // of "never", which must not get the credits of "short"
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 10, EntryID: first.Entry.ID}); err != nil {
		t.Fatal(err)
	}
	l.wantAvailable(alice, 10)
	type end struct {
		Source string
		Left   time.Duration
	}
	kept, err := dbscope.Row[end](t.Context(), l.db.Pool, dbscope.System(),
		`SELECT source, expires_at - now() AS left FROM credits.lots WHERE remaining > 0`)
	if err != nil || kept.Source != "subscription" || kept.Left > 72*time.Hour || kept.Left < 71*time.Hour {
		t.Errorf("came back as %+v, %v", kept, err)
	}
	second := l.spend(alice, 10)
	l.due(alice)
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 10, EntryID: second.Entry.ID}); err != nil {
		t.Fatal(err)
	}
	l.wantAvailable(alice, 0)
}

// What a won dispute gives again after the end of its lot can be spent for 72 hours.
func TestReinstatedAfterItsEndHas72Hours(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Source: creditcore.SourceSubscription, Reference: "short", ExpiresAt: in(time.Hour)})
	for _, way := range []string{"lost", "won"} {
		err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
			c := creditcore.Clawback{UserID: alice, Reference: "short", Amount: 10, InternalKey: way}
			if way == "won" {
				return l.ReinstateTx(t.Context(), tx, c)
			}
			_, err = l.ClawbackTx(t.Context(), tx, c)
			return err
		})
		if err != nil {
			t.Fatal(way, err)
		}
		if way == "lost" {
			l.wantAvailable(alice, 0)
			l.due(alice)
		}
	}
	l.wantAvailable(alice, 10)
	end, err := dbscope.Row[struct{ Left time.Duration }](t.Context(), l.db.Pool, dbscope.System(),
		`SELECT expires_at - now() AS left FROM credits.lots WHERE remaining > 0`)
	if err != nil || end.Left > 72*time.Hour || end.Left < 71*time.Hour {
		t.Errorf("it has %v, %v", end.Left, err)
	}
	l.spend(alice, 4)
	l.due(alice)
	l.wantAvailable(alice, 0)
}

// A debt is paid by what a debit would spend, even where nobody touched the
// account since the credits came.
func TestDebitPaysTheDebtFirst(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 100, Source: creditcore.SourcePurchase, Reference: "purchase:1"})
	h, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 100})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.clawback(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 60, InternalKey: "refund"}); got.Owed != 60 {
		t.Fatalf("clawed back %+v", got)
	}
	l.exec(`UPDATE credits.holds SET state = 'released', resolved_at = now() WHERE id = $1`, h.ID)
	l.exec(`UPDATE credits.balances SET held = 0 WHERE user_id = $1`, alice)
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 41}); !short(err) {
		t.Errorf("debit of what is owed: %v", err)
	}
	l.spend(alice, 40)
	if b := l.balance(alice); b.Available != 0 || b.Debt != 0 || b.TotalEarned != 40 {
		t.Errorf("balance: %+v", b)
	}
}

// What holds reserve no debit of a transaction spends.
func TestDebitTxLeavesHeldCredits(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 60}); err != nil {
		t.Fatal(err)
	}
	debit := func(n creditcore.Amount) error {
		return dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			_, err := l.DebitTx(t.Context(), tx, creditcore.Debit{UserID: alice, Amount: n, AppID: "app"})
			return err
		})
	}
	if err := debit(41); !short(err) {
		t.Errorf("debit of held credits: %v", err)
	}
	if err := debit(40); err != nil {
		t.Errorf("debit of all that is available: %v", err)
	}
	if b := l.balance(alice); b.Available != 0 || b.Held != 60 {
		t.Errorf("balance: %+v", b)
	}
}
