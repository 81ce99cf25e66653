package creditcore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

type amounts = map[string]creditcore.Amount

func (l *ledger) wantLots(user string, want amounts) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.lots(user)); diff != "" {
		l.t.Errorf("lots (-want +got):\n%s", diff)
	}
}

func TestLotsBurnInOrder(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	add := func(name string, source creditcore.Source, priority int, expires *time.Time) {
		l.grant(creditcore.Grant{UserID: alice, Amount: 10, Source: source, Priority: priority, ExpiresAt: expires, Reference: name})
	}
	add("paid, old", creditcore.SourcePurchase, 0, nil)
	add("promo, old", creditcore.SourceGift, 0, nil)
	add("promo, new", creditcore.SourceAdmin, 0, nil)
	add("last", creditcore.SourceGift, 1, in(time.Hour))
	add("tomorrow", creditcore.SourceSubscription, 0, in(24*time.Hour))
	add("today", creditcore.SourcePurchase, 0, in(time.Hour))
	add("first", creditcore.SourcePurchase, -1, nil)

	left := amounts{"first": 10, "today": 10, "tomorrow": 10, "promo, old": 10, "promo, new": 10, "paid, old": 10, "last": 10}
	for _, name := range []string{"first", "today", "tomorrow", "promo, old", "promo, new", "paid, old", "last"} {
		l.spend(alice, 5)
		left[name] = 5
		l.wantLots(alice, left)
		l.spend(alice, 5)
		left[name] = 0
	}
	l.wantAvailable(alice, 0)
}

// A lot that comes after a debit is not burnt for it, though its turn is earlier.
func TestLazyBurningEqualsEagerBurning(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "a"})
	l.spend(alice, 4)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "b", Priority: -1})
	l.spend(alice, 3)
	l.wantLots(alice, amounts{"a": 6, "b": 7})
}

func TestExpiryTakesWhatIsLeft(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "kept"})
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "short", ExpiresAt: in(time.Hour)})
	l.spend(alice, 4)
	l.due(alice)
	// 16 on paper, but 6 of them are gone: nobody had to run a job for that.
	if _, err := l.debit(creditcore.Debit{UserID: alice, Amount: 11}); !short(err) {
		t.Errorf("debit of expired credits: %v", err)
	}
	l.wantAvailable(alice, 10)
	l.wantLots(alice, amounts{"kept": 10, "short": 0})
	list, err := l.History(t.Context(), creditcore.Caller{UserID: alice}, 1, 0)
	if err != nil || list[0].Type != creditcore.Expiry || list[0].Amount != -6 {
		t.Errorf("last row: %+v, %v", list, err)
	}
}

func TestBalanceExpiresWhatIsDue(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, ExpiresAt: in(time.Hour)})
	l.due(alice)
	l.wantAvailable(alice, 0)
}

// What an open hold reserves outlives the lot, and goes with the hold.
func TestExpiryLeavesHeldCredits(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, ExpiresAt: in(time.Hour)})
	h, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 6})
	if err != nil {
		t.Fatal(err)
	}
	l.due(alice)
	if b := l.balance(alice); b.Available != 0 || b.Held != 6 {
		t.Errorf("after the lot's time: %+v", b)
	}
	if _, err := l.Settle(t.Context(), h.ID, 2, nil); err != nil {
		t.Fatal(err)
	}
	l.wantAvailable(alice, 0)
}

// Accounts with open holds wait for them, and keep nobody else waiting.
func TestExpiryPassesBusyAccountsBy(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	busy, idle := l.user("busy", 0), l.user("idle", 0)
	for _, user := range []string{busy, idle} {
		l.grant(creditcore.Grant{UserID: user, Amount: 10, ExpiresAt: in(time.Hour)})
	}
	if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: busy, Amount: 6}); err != nil {
		t.Fatal(err)
	}
	l.due(busy)
	l.due(idle)
	done, err := dbscope.Row[struct{ N int64 }](t.Context(), l.db.Pool, dbscope.System(), `SELECT `+functions.Schema+`.expire_due(1) AS n`)
	if err != nil || done.N != 1 {
		t.Errorf("expired the lots of %d accounts, want 1: %v", done.N, err)
	}
}

func TestRefundReturnsToTheLotsBurntLast(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "a", Priority: 1})
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "b", Priority: 2})
	r := l.spend(alice, 15)
	l.wantLots(alice, amounts{"a": 0, "b": 5})
	back := func(n creditcore.Amount) error {
		_, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, EntryID: r.Entry.ID})
		return err
	}
	if err := back(7); err != nil {
		t.Fatal(err)
	}
	l.wantLots(alice, amounts{"a": 2, "b": 10})
	if err := back(9); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("more than was charged: %v", err)
	}
	if err := back(8); err != nil {
		t.Fatal(err)
	}
	l.wantLots(alice, amounts{"a": 10, "b": 10})
	if b := l.balance(alice); b.TotalSpent != 0 || b.TotalEarned != 20 {
		t.Errorf("totals: %+v", b)
	}
}

func TestRefundToAnExpiredLotIsALotOfItsOwn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 10, Reference: "short", ExpiresAt: in(time.Hour)})
	r := l.spend(alice, 10)
	l.due(alice)
	l.wantAvailable(alice, 0)
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 10, EntryID: r.Entry.ID}); err != nil {
		t.Fatal(err)
	}
	l.wantLots(alice, amounts{"short": 0, "admin": 10})
	l.wantAvailable(alice, 10)
}

func TestRefundWithoutChargeIsBoundByTheApp(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	l.spend(alice, 30)
	back := func(app string, n creditcore.Amount) error {
		_, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, AppID: app})
		return err
	}
	if err := back("other", 1); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("an app that charged nothing: %v", err)
	}
	if err := back("app", 20); err != nil {
		t.Error(err)
	}
	if err := back("app", 11); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("more than the app charged: %v", err)
	}
	if err := back("app", 10); err != nil {
		t.Error(err)
	}
	l.wantAvailable(alice, 100)
}

// What came back of the app's charges comes back no second time under the name
// of one of them.
func TestRefundOfTheAppAndOfTheChargeShareOneBound(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	charge := l.spend(alice, 50)
	back := func(entry string, n creditcore.Amount) error {
		_, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: n, AppID: "app", EntryID: entry})
		return err
	}
	if err := back("", 40); err != nil {
		t.Fatal(err)
	}
	if err := back(charge.Entry.ID, 11); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("the charge again: %v", err)
	}
	if _, err := l.Compensate(t.Context(), charge); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("all of the charge: %v", err)
	}
	if err := back(charge.Entry.ID, 10); err != nil {
		t.Errorf("the rest: %v", err)
	}
	l.wantAvailable(alice, 100)
}

// Others' charges cannot be refunded, nor grants.
func TestRefundOfNoChargeOfTheUser(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 100), l.user("bob", 100)
	his := l.spend(bob, 10)
	mine := l.grant(creditcore.Grant{UserID: alice, Amount: 10})
	for name, id := range map[string]string{"another's": his.Entry.ID, "a grant": mine.Entry.ID, "unknown": "x"} {
		if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 1, EntryID: id}); !errors.Is(err, creditcore.ErrEntryNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConcurrentRefundsNeverExceedTheCharge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	r := l.spend(alice, 50)
	concurrently(16, func(int) {
		_, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 10, EntryID: r.Entry.ID})
		if err != nil && !errors.Is(err, creditcore.ErrRefundExceeds) {
			t.Error(err)
		}
	})
	l.wantAvailable(alice, 100)
}

func (l *ledger) clawback(c creditcore.Clawback) (r creditcore.Reversal) {
	l.t.Helper()
	err := dbscope.InTx(l.t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
		r, err = l.ClawbackTx(l.t.Context(), tx, c)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *ledger) reinstate(c creditcore.Clawback) error {
	return dbscope.InTx(l.t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		return l.ReinstateTx(l.t.Context(), tx, c)
	})
}

func TestClawback(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: 100, Source: creditcore.SourcePurchase, Reference: "purchase:1", Priority: -1})
	l.grant(creditcore.Grant{UserID: alice, Amount: 50, Reference: "gift"})
	l.spend(alice, 80)
	h, err := l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := func(c creditcore.Clawback, taken, owed creditcore.Amount) {
		t.Helper()
		if got := l.clawback(c); got != (creditcore.Reversal{Taken: taken, Owed: owed}) {
			t.Errorf("%s: %+v, want %s taken and %s owed", c.InternalKey, got, taken, owed)
		}
	}
	first := creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 40, InternalKey: "refund:1"}
	for range 2 { // the second is a replay
		want(first, 40, 0)
	}
	l.wantLots(alice, amounts{"purchase:1": 0, "gift": 30})
	// 60 are left of the grant, 30 of the balance, 10 of them held.
	want(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 1000, InternalKey: "refund:2"}, 20, 40)
	want(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 1, InternalKey: "refund:3"}, 0, 0)
	if b := l.balance(alice); b.Available != 0 || b.TotalEarned != 90 || b.Debt != 40 {
		t.Errorf("balance: %+v", b)
	}
	if _, err := l.Release(t.Context(), h.ID); err != nil { // pays
		t.Fatal(err)
	}
	if b := l.balance(alice); b.Available != 0 || b.TotalEarned != 80 || b.Debt != 30 {
		t.Errorf("balance after the release: %+v", b)
	}
	if err := l.reinstate(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 101, InternalKey: "won:0"}); !errors.Is(err, creditcore.ErrRefundExceeds) {
		t.Errorf("more than was taken: %v", err)
	}
	for range 2 {
		if err := l.reinstate(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: 100, InternalKey: "won:1"}); err != nil {
			t.Error(err)
		}
	}
	if b := l.balance(alice); b.Available != 70 || b.Debt != 0 {
		t.Errorf("balance after all was won: %+v", b)
	}
}
