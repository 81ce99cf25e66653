package creditcore_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// apiKey makes a key of the user; a budget of 0 is none.
func (l *ledger) apiKey(user string, budget creditcore.Amount, period string) string {
	l.t.Helper()
	id := unique()
	l.exec(`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash, budget_credits, budget_period)
		VALUES ($1, $2, 'key', 'sk_live_', $1, NULLIF($3::bigint, 0), NULLIF($4, ''))`, id, user, int64(budget), period)
	return id
}

// spent is what the user's key has spent in its period.
func (l *ledger) spent(user, key string) creditcore.Amount {
	l.t.Helper()
	all, err := l.KeySpending(l.t.Context(), creditcore.Caller{UserID: user})
	if err != nil {
		l.t.Fatal(err)
	}
	return all[key]
}

func (l *ledger) wantSpent(user, key string, want creditcore.Amount) {
	l.t.Helper()
	if got := l.spent(user, key); got != want {
		l.t.Errorf("the key spent %s, want %s", got, want)
	}
}

// wantKeyShort checks that the budget of a key refused.
func wantKeyShort(t *testing.T, err error, required, left creditcore.Amount) {
	t.Helper()
	var short *creditcore.InsufficientError
	if !errors.As(err, &short) || !short.OfKey || short.Required != required || short.Available != left {
		t.Errorf("refused with %+v (%v), want the key's budget: %s of %s", short, err, required, left)
	}
}

// Debits and holds of two edges at once spend exactly the budget, and what
// another key or nobody's key spends is no part of it.
func TestParallelRequestsSpendTheBudgetOfAKeyExactly(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(edge *creditcore.Service, user, key string) error{
		"debits": func(edge *creditcore.Service, user, key string) error {
			_, err := edge.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: creditcore.Credit, AppID: "app", APIKey: key})
			return err
		},
		"holds": func(edge *creditcore.Service, user, key string) error {
			_, err := edge.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: creditcore.Credit, AppID: "app", APIKey: key})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			ada := l.user("ada", creditcore.Credits(1000))
			key, other := l.apiKey(ada, creditcore.Credits(10), "day"), l.apiKey(ada, 0, "")
			edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
			var passed, refused, others atomic.Int64
			concurrently(64+32, func(i int) {
				if i >= 64 {
					if take(edges[i%2], ada, []string{other, ""}[i/2%2]) == nil {
						others.Add(1)
					}
					return
				}
				err := take(edges[i%2], ada, key)
				var short *creditcore.InsufficientError
				switch {
				case err == nil:
					passed.Add(1)
				case errors.As(err, &short) && short.OfKey && short.Available == 0:
					refused.Add(1)
				default:
					t.Errorf("neither passed nor refused: %v", err)
				}
			})
			if passed.Load() != 10 || refused.Load() != 54 || others.Load() != 32 {
				t.Errorf("passed %d, refused %d, without a budget %d", passed.Load(), refused.Load(), others.Load())
			}
			l.wantSpent(ada, key, creditcore.Credits(10))
			l.wantSpent(ada, other, creditcore.Credits(16))
			l.wantAvailable(ada, creditcore.Credits(1000-42))
		})
	}
}

// What comes back is the key's to spend again, in whatever way it comes.
func TestWhatComesBackIsOfTheBudgetAgain(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ada := l.user("ada", creditcore.Credits(100))
	key := l.apiKey(ada, creditcore.Credits(10), "month")
	charge := func(credits int64) (creditcore.Receipt, error) {
		return l.debit(creditcore.Debit{UserID: ada, Amount: creditcore.Credits(credits), APIKey: key})
	}
	ctx := t.Context()

	receipt, err := charge(8)
	if err != nil || receipt.Entry.APIKey == nil || *receipt.Entry.APIKey != key {
		t.Fatalf("charged %+v, %v", receipt.Entry, err)
	}
	_, err = charge(3)
	wantKeyShort(t, err, creditcore.Credits(3), creditcore.Credits(2))
	if _, err := l.Compensate(ctx, receipt); err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 0)

	if receipt, err = charge(8); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Refund(ctx, creditcore.Refund{UserID: ada, Amount: 2500, EntryID: receipt.Entry.ID, AppID: "app"}); err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 5500)

	hold := func(credits int64, ttl time.Duration) creditcore.Held {
		t.Helper()
		h, err := l.Hold(ctx, creditcore.Hold{UserID: ada, Amount: creditcore.Credits(credits), AppID: "app", APIKey: key, TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := hold(4, time.Minute)
	l.wantSpent(ada, key, 9500)
	_, err = l.Hold(ctx, creditcore.Hold{UserID: ada, Amount: creditcore.Credit, AppID: "app", APIKey: key})
	wantKeyShort(t, err, creditcore.Credit, 500)
	if _, err := l.Release(ctx, h.ID); err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 5500)

	h = hold(4, time.Minute)
	settled, err := l.Settle(ctx, h.ID, creditcore.Credit, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 6500)
	if _, err := l.Settle(ctx, h.ID, creditcore.Credit, nil); err != nil { // replayed
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 6500)
	if _, err := l.Refund(ctx, creditcore.Refund{UserID: ada, Amount: creditcore.Credit, EntryID: settled.Entry.ID, AppID: "app"}); err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 5500)

	h = hold(4, time.Minute)
	l.exec(`UPDATE credits.holds SET expires_at = now() WHERE id = $1`, h.ID)
	l.exec(`SELECT ` + functions.Schema + `.reap(10)`)
	l.wantSpent(ada, key, 5500)
	if _, err := l.Settle(ctx, h.ID, creditcore.Credit, nil); err != nil { // late
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 6500)

	if _, err := l.DebitServed(ctx, creditcore.Debit{UserID: ada, Amount: creditcore.Credits(4), AppID: "app", APIKey: key}, "served"); err != nil {
		t.Fatal(err)
	}
	l.wantSpent(ada, key, 10_500)
	_, err = charge(1)
	wantKeyShort(t, err, creditcore.Credit, 0)
}

// A budget is of a day or a month of UTC, or for ever. What comes back of an
// earlier period is no part of this one.
func TestBudgetsHavePeriods(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ada := l.user("ada", creditcore.Credits(1000))
	for period, want := range map[string]struct{ passes bool }{"day": {true}, "month": {true}, "total": {false}} {
		key := l.apiKey(ada, creditcore.Credits(10), period)
		take := func() (creditcore.Receipt, error) {
			return l.debit(creditcore.Debit{UserID: ada, Amount: creditcore.Credits(10), APIKey: key})
		}
		first, err := take()
		if err != nil {
			t.Fatal(err)
		}
		// The charge was made in an earlier month, and the day of it with it.
		l.altered = true
		owner(t, l, `ALTER TABLE credits.transactions DISABLE TRIGGER USER`,
			`UPDATE credits.transactions SET created_at = created_at - interval '40 days' WHERE id = '`+first.Entry.ID+`'`,
			`ALTER TABLE credits.transactions ENABLE TRIGGER USER`)
		l.exec(`UPDATE credits.spending SET day = day - 40 WHERE spender = 'key:' || $1`, key)
		if _, err := take(); (err == nil) != want.passes {
			t.Errorf("%s: in the next period: %v", period, err)
		}
		if _, err := l.Compensate(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if _, err := take(); (err == nil) == want.passes {
			t.Errorf("%s: what came back of the period before: %v", period, err)
		}
	}
}

// owner runs statements as the owner of the tables, whom policies do not bind
// while they are off.
func owner(t *testing.T, l *ledger, statements ...string) {
	t.Helper()
	conn, err := l.db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range append([]string{`SET LOCAL ROLE mana_owner`, `ALTER TABLE credits.transactions NO FORCE ROW LEVEL SECURITY`},
		append(statements, `ALTER TABLE credits.transactions FORCE ROW LEVEL SECURITY`)...) {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A key that is erased takes what it spent with it; the ledger stays.
func TestErasedKeysSpendNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ada := l.user("ada", creditcore.Credits(10))
	key := l.apiKey(ada, creditcore.Credits(5), "total")
	receipt, err := l.debit(creditcore.Debit{UserID: ada, Amount: creditcore.Credits(5), APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	l.exec(`DELETE FROM auth.api_keys WHERE id = $1`, key)
	if _, err := l.Compensate(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
	left, err := dbscope.Rows[struct{ Amount int64 }](t.Context(), l.db.Pool, dbscope.System(), `SELECT amount FROM credits.spending`)
	if err != nil || len(left) != 0 {
		t.Errorf("left of the key: %v, %v", left, err)
	}
	l.wantAvailable(ada, creditcore.Credits(10))
}
