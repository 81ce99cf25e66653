package creditcore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations/functions"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// ledger is a service on a database of its own.
type ledger struct {
	*creditcore.Service
	t       *testing.T
	db      *pgtest.Database
	altered bool // the test has changed rows, as nobody can in production
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	db := pgtest.New(t)
	l := &ledger{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db, false}
	t.Cleanup(func() {
		if !t.Failed() {
			l.sound()
		}
	})
	return l
}

// user makes a user with that many credits.
func (l *ledger) user(id string, credits creditcore.Amount) string {
	l.t.Helper()
	l.exec(`INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.com')`, id)
	if credits > 0 {
		l.grant(creditcore.Grant{UserID: id, Amount: credits})
	}
	return id
}

func (l *ledger) exec(sql string, args ...any) {
	l.t.Helper()
	if _, err := dbscope.Exec(l.t.Context(), l.db.Pool, dbscope.System(), sql, args...); err != nil {
		l.t.Fatal(err)
	}
}

// grant fills in what does not matter.
func (l *ledger) grant(g creditcore.Grant) creditcore.Receipt {
	l.t.Helper()
	if g.Source == "" {
		g.Source = creditcore.SourceAdmin
	}
	if g.Type == "" {
		g.Type = creditcore.Gift
	}
	r, err := l.Grant(l.t.Context(), g)
	if err != nil {
		l.t.Fatalf("grant: %v", err)
	}
	return r
}

// patiently tries again while the ledger has no time, as clients do: the
// machine may be busy with other tests.
func patiently(change func() error) (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = change(); !errors.Is(err, creditcore.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

// retried is what a change returns that is tried again like that.
func retried[T any](change func() (T, error)) (result T, err error) {
	err = patiently(func() (err error) {
		result, err = change()
		return err
	})
	return result, err
}

func (l *ledger) debit(d creditcore.Debit) (creditcore.Receipt, error) {
	if d.AppID == "" {
		d.AppID = "app"
	}
	return l.Debit(l.t.Context(), d)
}

// spend is a debit that must succeed.
func (l *ledger) spend(user string, amount creditcore.Amount) creditcore.Receipt {
	l.t.Helper()
	r, err := l.debit(creditcore.Debit{UserID: user, Amount: amount})
	if err != nil {
		l.t.Fatalf("debit: %v", err)
	}
	return r
}

func (l *ledger) balance(user string) creditcore.Balance {
	l.t.Helper()
	b, err := l.BalanceOf(l.t.Context(), user)
	if err != nil {
		l.t.Fatalf("balance: %v", err)
	}
	return b
}

func (l *ledger) wantAvailable(user string, want creditcore.Amount) {
	l.t.Helper()
	if got := l.balance(user).Available; got != want {
		l.t.Errorf("available: %s, want %s", got, want)
	}
}

// sound audits the ledger and walks its chains, also when the test is over.
func (l *ledger) sound() {
	l.t.Helper()
	ctx := context.WithoutCancel(l.t.Context())
	report, err := l.Audit(ctx)
	if err != nil {
		l.t.Fatalf("audit: %v", err)
	}
	for _, b := range report.Breaches {
		l.t.Errorf("audit: %+v", b)
	}
	if l.altered {
		return
	}
	_, err = proof.New(proof.Deps{Pool: l.db.Pool}).Verify(ctx, proof.Scope{}, func(b proof.Breach) error {
		l.t.Errorf("chain: %+v", b)
		return nil
	})
	if err != nil {
		l.t.Fatalf("walk the chains: %v", err)
	}
}

// lots are what remains of the user's lots by reference, as of now.
func (l *ledger) lots(user string) map[string]creditcore.Amount {
	l.t.Helper()
	l.exec(`SELECT `+functions.Schema+`.burn($1) FROM (SELECT `+functions.Schema+`.account($1)) AS locked`, user)
	type lot struct {
		Reference string
		Remaining creditcore.Amount
	}
	list, err := dbscope.Rows[lot](l.t.Context(), l.db.Pool, dbscope.System(),
		`SELECT coalesce(reference, source) AS reference, remaining FROM credits.lots WHERE user_id = $1`, user)
	if err != nil {
		l.t.Fatal(err)
	}
	m := make(map[string]creditcore.Amount)
	for _, x := range list {
		m[x.Reference] += x.Remaining
	}
	return m
}

func short(err error) bool {
	var e *creditcore.InsufficientError
	return errors.As(err, &e)
}

// concurrently runs n calls that begin together.
func concurrently(n int, call func(i int)) {
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i := range n {
		end.Go(func() {
			begin.Wait()
			call(i)
		})
	}
	begin.Done()
	end.Wait()
}

func unique() string { return strings.ToLower(rand.Text()) }

// due lets the time of the user's lots come, those that have an end.
func (l *ledger) due(user string) {
	l.t.Helper()
	l.exec(`UPDATE credits.lots SET expires_at = now() WHERE user_id = $1 AND expires_at IS NOT NULL`, user)
	l.exec(`UPDATE credits.balances SET next_expiry = now() WHERE user_id = $1`, user)
}

func in(d time.Duration) *time.Time {
	t := time.Now().Add(d)
	return &t
}
