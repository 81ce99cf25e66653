package creditcore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/pgtest"
)

func TestCompensationIsOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 10)
	r := l.spend(alice, 4)
	concurrently(8, func(int) {
		b, err := retried(func() (creditcore.Balance, error) { return l.Compensate(t.Context(), r) })
		if err != nil || b.Available != 10 {
			t.Errorf("%+v, %v", b, err)
		}
	})
	l.wantAvailable(alice, 10)
}

// An error that nobody knew of takes no refund away: it is made when it can be,
// and those of others do not wait for it.
func TestRefundIsMadeAfterAnyError(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 10), l.user("bob", 10)
	admin, err := pgx.Connect(t.Context(), l.db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	broken := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	broken(`CREATE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$`)
	broken(`CREATE TRIGGER broken BEFORE INSERT ON credits.transactions FOR EACH ROW WHEN (NEW.type = 'refund' AND NEW.user_id = 'alice') EXECUTE FUNCTION public.broken()`)
	far, relay, stop := l.afar(creditcore.Config{})
	var charges []creditcore.Receipt
	for _, user := range []string{alice, bob} {
		r, err := far.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: 4, AppID: "app"})
		if err != nil {
			t.Fatal(err)
		}
		charges = append(charges, r)
	}
	if _, err := far.Compensate(t.Context(), charges[0]); err == nil || errors.Is(err, creditcore.ErrUnavailable) {
		t.Fatalf("a refund that the database refuses: %v", err)
	}
	relay.Cut(true)
	if _, err := far.Compensate(t.Context(), charges[1]); !errors.Is(err, creditcore.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	relay.Cut(false)
	eventually(t, "the refund that nothing is wrong with", func() bool { return l.balance(bob).Available == 10 })
	broken(`DROP TRIGGER broken ON credits.transactions`)
	eventually(t, "the other", func() bool { return l.balance(alice).Available == 10 })
	stop() // which must end, also where a refund goes on failing
	if n := far.Owed(); n > 0 {
		t.Errorf("%d refunds are still owed", n)
	}
}

// afar is a ledger that reaches the database of l by a relay. Its jobs run
// until stop, which awaits their end.
func (l *ledger) afar(cfg creditcore.Config) (far *creditcore.Service, relay *pgtest.Relay, stop func()) {
	l.t.Helper()
	relay, dsn := pgtest.NewRelay(l.t, l.db.DSN)
	pool, err := pgxpool.New(l.t.Context(), dsn)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(pool.Close)
	far = creditcore.New(cfg, creditcore.Deps{Pool: pool, Observer: creditcore.Observer{
		Compensation: func(outcome string) {
			if outcome == "dropped" {
				l.t.Error("a refund was dropped")
			}
		},
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = far.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	l.t.Cleanup(stop)
	return far, relay, stop
}

// lost is a debit that is made, and whose answer does not arrive.
func (l *ledger) lost(far *creditcore.Service, relay *pgtest.Relay, d creditcore.Debit) {
	l.t.Helper()
	warm := d
	warm.Amount, warm.Key = 1, "" // the statement is known to the connection then
	if _, err := far.Debit(l.t.Context(), warm); err != nil {
		l.t.Fatal(err)
	}
	before := l.balance(d.UserID).TotalSpent
	relay.Mute(true)
	if _, err := far.Debit(l.t.Context(), d); !errors.Is(err, creditcore.ErrUnavailable) {
		l.t.Fatalf("a debit without an answer: %v", err)
	}
	eventually(l.t, "the debit is made", func() bool { return l.balance(d.UserID).TotalSpent == before+d.Amount })
	relay.Mute(false)
}

// Who was told that a debit failed is not charged by it.
func TestDebitWhoseAnswerIsLostIsRefunded(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	far, relay, _ := l.afar(creditcore.Config{DoubtWait: 50 * time.Millisecond})
	l.lost(far, relay, creditcore.Debit{UserID: alice, Amount: 10, AppID: "app", Description: "request"})
	eventually(t, "the refund", func() bool { return l.balance(alice).Available == 99 })
	list, err := l.History(t.Context(), creditcore.Caller{UserID: alice}, 1, 0)
	if err != nil || len(list) != 1 || list[0].Type != creditcore.Returned || list[0].Amount != 10 {
		t.Errorf("%+v, %v", list, err)
	}
}

// The same at the stop of the edge, which does not wait.
func TestLostDebitIsRefundedAtTheStop(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	far, relay, stop := l.afar(creditcore.Config{DoubtWait: time.Hour})
	l.lost(far, relay, creditcore.Debit{UserID: alice, Amount: 10, AppID: "app"})
	stop()
	l.wantAvailable(alice, 99)
}

// Under a key the client asks again, and learns that he was charged.
func TestLostDebitUnderAKeyIsReplayed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	far, relay, stop := l.afar(creditcore.Config{DoubtWait: time.Millisecond})
	d := creditcore.Debit{UserID: alice, Amount: 10, AppID: "app", Key: "k"}
	l.lost(far, relay, d)
	stop()
	r, err := far.Debit(t.Context(), d)
	if err != nil || !r.Replayed || r.Entry.Amount != -10 {
		t.Errorf("%+v, %v", r, err)
	}
	l.wantAvailable(alice, 89)
}

// What was never made leaves no trace, however long the database is away.
func TestDebitThatWasNotMadeIsForgotten(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	far, relay, stop := l.afar(creditcore.Config{DoubtWait: 20 * time.Millisecond})
	if _, err := far.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: 1, AppID: "app"}); err != nil {
		t.Fatal(err)
	}
	relay.Cut(true)
	for range 3 {
		if _, err := far.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: 10, AppID: "app"}); !errors.Is(err, creditcore.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
	time.Sleep(100 * time.Millisecond) // it is looked for in vain meanwhile
	relay.Cut(false)
	eventually(t, "debits go on", func() bool {
		_, err := far.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: 1, AppID: "app"})
		return err == nil
	})
	stop()
	if n := far.Owed(); n > 0 {
		t.Errorf("%d refunds are still owed", n)
	}
	l.wantAvailable(alice, 98)
}
