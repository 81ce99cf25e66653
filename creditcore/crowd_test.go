package creditcore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

func poolOf(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// during runs work on the goroutines of n clients until the time is over, and
// returns how often it was done.
func during(d time.Duration, n int, work func(client int)) int64 {
	var done atomic.Int64
	var clients sync.WaitGroup
	end := time.Now().Add(d)
	for client := range n {
		clients.Go(func() {
			for time.Now().Before(end) {
				work(client)
				done.Add(1)
			}
		})
	}
	clients.Wait()
	return done.Load()
}

// Accounts that somebody else has locked cost the others next to nothing, and
// are answered in time themselves.
func TestLockedAccountsDoNotStopOthers(t *testing.T) { //nolint:paralleltest // it measures
	l := newLedger(t)
	const others, clients = 8, 16
	for i := range others {
		l.user(fmt.Sprint("user-", i), 10_000_000)
	}
	for i := range 3 {
		l.user(fmt.Sprint("locked-", i), 1000)
	}
	load := func(client int) {
		if _, err := l.debit(creditcore.Debit{UserID: fmt.Sprint("user-", client%others), Amount: 1}); err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
			t.Error(err)
		}
	}
	const span = 700 * time.Millisecond
	during(span/2, clients, load)
	free := during(span, clients, load)

	ctx, unlock := context.WithCancel(t.Context())
	locked := make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		_ = dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			err := l.LockTx(t.Context(), tx, "locked-0", "locked-1", "locked-2")
			close(locked)
			<-ctx.Done()
			return err
		})
	})
	<-locked
	waits, stop := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range 6 {
		waiting.Go(func() {
			for waits.Err() == nil {
				began := time.Now()
				_, err := l.debit(creditcore.Debit{UserID: fmt.Sprint("locked-", i%3), Amount: 1})
				if took := time.Since(began); err == nil || took > 5*time.Second {
					t.Errorf("a debit of a locked account: %v after %v", err, took)
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	beside := during(span, clients, load)
	stop()
	waiting.Wait()
	unlock()
	holder.Wait()
	if beside < free/3 { // the bench knows how much it is; a busy machine wavers
		t.Errorf("%d debits beside locked accounts, %d without", beside, free)
	}
	eventually(t, "the account is free", func() bool {
		_, err := l.debit(creditcore.Debit{UserID: "locked-0", Amount: 1})
		return err == nil
	})
}

// An app that fails, and clients that send keys, keep one account busy: that
// takes neither connections nor time from the others.
func TestABusyAccountDoesNotSlowOthersDown(t *testing.T) { //nolint:paralleltest // it measures
	l := newLedger(t)
	busy, calm := l.user("busy", 1_000_000), l.user("calm", 10)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 64 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if i%2 == 0 {
					r, err := l.debit(creditcore.Debit{UserID: busy, Amount: 1})
					if err == nil {
						_, err = l.Compensate(context.WithoutCancel(ctx), r)
					}
					if err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
						t.Error(err)
					}
					continue
				}
				h, err := l.Hold(context.WithoutCancel(ctx), creditcore.Hold{UserID: busy, Amount: 1, AppID: "app", Key: fmt.Sprint(i, ".", n)})
				if err == nil {
					_, err = l.Settle(context.WithoutCancel(ctx), h.ID, 0, nil)
				}
				if err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	var took []time.Duration
	for range 60 {
		began := time.Now()
		l.wantAvailable(calm, 10)
		took = append(took, time.Since(began))
		if n := l.db.Pool.Stat().AcquiredConns(); n > 8 {
			t.Errorf("%d connections are busy", n)
		}
	}
	stop()
	load.Wait()
	slices.Sort(took)
	if median := took[len(took)/2]; median > 200*time.Millisecond {
		t.Errorf("a balance takes %v beside a busy account", median)
	}
}

// Items of every kind that arrive together for one account have an outcome each.
func TestABatchOfAllKinds(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	var charges []creditcore.Receipt
	var holds []creditcore.Held
	for range 10 {
		charges = append(charges, l.spend(alice, 10))
		holds = append(holds, l.hold(creditcore.Hold{UserID: alice, Amount: 10}))
	}
	concurrently(60, func(i int) {
		n := i % 10
		err := patiently(func() error {
			switch i / 10 {
			case 0:
				return second(l.Compensate(t.Context(), charges[n]))
			case 1:
				if n < 5 {
					return second(l.Release(t.Context(), holds[n].ID))
				}
				return second(l.Settle(t.Context(), holds[n].ID, 4, nil))
			case 2, 3:
				return second(l.debit(creditcore.Debit{UserID: alice, Amount: 1}))
			case 4:
				return second(l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 2, AppID: "app"}))
			}
			err := second(l.Settle(t.Context(), unique(), 1, nil))
			if err == creditcore.ErrHoldNotFound {
				return nil
			}
			return fmt.Errorf("settle what is not there: %w", err)
		})
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	})
	b := l.balance(alice)
	if want := creditcore.Amount(1000 - 5*4 - 20 - 20); b.Available != want || b.Held != 20 {
		t.Errorf("available %s, held %s, want %s and 20", b.Available, b.Held, want)
	}
}

// Balances that are asked for together are each the asker's own.
func TestBalancesReadTogetherAreEachOnesOwn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	const users = 20
	for i := range users {
		l.user(fmt.Sprint("user-", i), creditcore.Amount(1000+i))
	}
	l.exec(`INSERT INTO auth.users (id, name, email) VALUES ('new', 'new', 'new')`)
	concurrently(400, func(i int) {
		user, want := fmt.Sprint("user-", i%users), creditcore.Amount(1000+i%users)
		b, err := l.Balance(t.Context(), creditcore.Caller{UserID: user})
		if err != nil || b.UserID != user || b.Available != want {
			t.Errorf("%s: %+v, %v", user, b, err)
		}
		switch i % 50 {
		case 7:
			if _, err := l.BalanceOf(t.Context(), "nobody"); err != creditcore.ErrAccountNotFound {
				t.Errorf("nobody: %v", err)
			}
		case 8:
			if _, err := l.BalanceOf(t.Context(), "a\x00b"); err != creditcore.ErrAccountNotFound {
				t.Errorf("no text: %v", err)
			}
		case 9:
			if b, err := l.BalanceOf(t.Context(), "new"); err != nil || b.Available != 0 || b.UserID != "new" {
				t.Errorf("new: %+v, %v", b, err)
			}
		}
	})
}

// A database whose sessions are serializable does not make settlements fail.
func TestSerializableDatabase(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	admin, err := pgx.Connect(t.Context(), l.db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, set := range []string{`default_transaction_isolation = 'serializable'`, `DateStyle = 'German'`} {
		if _, err := admin.Exec(t.Context(), `ALTER DATABASE `+l.db.Name+` SET `+set); err != nil {
			t.Fatal(err)
		}
	}
	l.db.Pool.Reset()
	alice := l.user("alice", 1000)
	concurrently(60, func(int) {
		h, err := retried(func() (creditcore.Held, error) {
			return l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 5, AppID: "app"})
		})
		if err != nil {
			t.Error(err)
			return
		}
		r, err := retried(func() (creditcore.Receipt, error) { return l.Settle(t.Context(), h.ID, 5, nil) })
		if err != nil || r.Entry.Amount != -5 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	l.wantAvailable(alice, 700)
	now := time.Now()
	days, err := l.Usage(t.Context(), creditcore.Caller{UserID: alice}, now.AddDate(0, 0, -1), now, creditcore.ByDay)
	if err != nil || len(days) == 0 || len(days[0].Key) != len("2006-01-02") || days[0].Key[4] != '-' {
		t.Errorf("%+v, %v", days, err)
	}
}
