package gift_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/bcrypt"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// stall is a gift service with a database, a ledger and a clock of its own.
type stall struct {
	*gift.Service
	t      *testing.T
	db     *pgtest.Database
	ledger *creditcore.Service

	mu    sync.Mutex
	ahead time.Duration
	seen  map[string]int // what the observer was told
}

// newStall opens a stall. At the end of the test its books are audited.
func newStall(t *testing.T, change ...func(*gift.Config)) *stall {
	t.Helper()
	db := pgtest.New(t)
	return openStall(t, db, db.Pool, change...)
}

func openStall(t *testing.T, db *pgtest.Database, pool *pgxpool.Pool, change ...func(*gift.Config)) *stall {
	s := &stall{t: t, db: db, seen: map[string]int{}}
	s.ledger = creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: pool})
	cfg := gift.Config{BaseURL: "https://auth.mana.how", ExpireEvery: 10 * time.Millisecond, RiddleCost: bcrypt.MinCost}
	for _, f := range change {
		f(&cfg)
	}
	s.Service = gift.New(cfg,
		gift.Deps{Pool: pool, Ledger: s.ledger, Now: s.now, Observer: gift.Observer{Gift: s.saw}})
	t.Cleanup(s.sound)
	return s
}

func (s *stall) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// pass lets time go by.
func (s *stall) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *stall) saw(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[event]++
}

func (s *stall) told() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// sound audits the ledger and the gifts.
func (s *stall) sound() {
	if s.t.Failed() {
		return
	}
	ctx := context.WithoutCancel(s.t.Context())
	report, err := s.ledger.Audit(ctx)
	if err != nil || len(report.Breaches) > 0 {
		s.t.Errorf("the ledger: %+v, %v", report.Breaches, err)
	}
	if breaches, err := s.Audit(ctx); err != nil || len(breaches) > 0 {
		s.t.Errorf("the gifts: %+v, %v", breaches, err)
	}
	_, err = proof.New(proof.Deps{Pool: s.db.Pool}).Verify(ctx, proof.Scope{}, func(b proof.Breach) error {
		s.t.Errorf("the chain: %+v", b)
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

func (s *stall) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := dbscope.Exec(s.t.Context(), s.db.Pool, dbscope.System(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// text is what a query with one value gives.
func (s *stall) text(sql string, args ...any) string {
	s.t.Helper()
	r, err := dbscope.Row[struct{ Text string }](s.t.Context(), s.db.Pool, dbscope.System(), `SELECT coalesce((`+sql+`)::text, '') AS text`, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text
}

// user makes a user with that many credits.
func (s *stall) user(id string, credits int64) creditcore.Caller {
	s.t.Helper()
	s.exec(`INSERT INTO auth.users (id, name, email, email_verified) VALUES ($1, 'Name of ' || $1, $1 || '@example.com', true)`, id)
	if credits > 0 {
		_, err := s.ledger.Grant(s.t.Context(), creditcore.Grant{
			UserID: id, Amount: creditcore.Credits(credits), Type: creditcore.Purchase, Source: creditcore.SourcePurchase,
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return creditcore.Caller{UserID: id, Email: id + "@example.com", Role: "user"}
}

// users makes n users without credits.
func (s *stall) users(n int) []creditcore.Caller {
	s.t.Helper()
	list := make([]creditcore.Caller, n)
	for i := range list {
		list[i] = s.user(fmt.Sprintf("user-%02d", i), 0)
	}
	return list
}

// give makes a gift that must succeed.
func (s *stall) give(c creditcore.Caller, o gift.Order) gift.Made {
	s.t.Helper()
	made, err := s.Create(s.t.Context(), c, o)
	if err != nil {
		s.t.Fatalf("create: %v", err)
	}
	return made
}

func (s *stall) claim(c creditcore.Caller, claim gift.Claim) (gift.Received, error) {
	return s.Redeem(s.t.Context(), c, claim)
}

// take redeems with success.
func (s *stall) take(c creditcore.Caller, claim gift.Claim) gift.Received {
	s.t.Helper()
	r, err := s.claim(c, claim)
	if err != nil {
		s.t.Fatalf("redeem: %v", err)
	}
	return r
}

// refused redeems in vain.
func (s *stall) refused(c creditcore.Caller, claim gift.Claim, want gift.Refusal) {
	s.t.Helper()
	if _, err := s.claim(c, claim); !errors.Is(err, want) {
		s.t.Errorf("redeem: %v, want %q", err, want)
	}
}

func (s *stall) balance(c creditcore.Caller) creditcore.Balance {
	s.t.Helper()
	b, err := s.ledger.BalanceOf(s.t.Context(), c.UserID)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// wantBalance compares in whole credits.
func (s *stall) wantBalance(c creditcore.Caller, available, earned, spent int64) {
	s.t.Helper()
	b := s.balance(c)
	if b.Available != creditcore.Credits(available) || b.TotalEarned != creditcore.Credits(earned) || b.TotalSpent != creditcore.Credits(spent) {
		s.t.Errorf("%s has %s, earned %s, spent %s; want %d, %d, %d", c.UserID, b.Available, b.TotalEarned, b.TotalSpent, available, earned, spent)
	}
}

func (s *stall) status(g gift.Made) gift.Status {
	s.t.Helper()
	return gift.Status(s.text(`SELECT status FROM gifts.gift_codes WHERE id = $1`, g.ID))
}

func (s *stall) wantStatus(g gift.Made, want gift.Status) {
	s.t.Helper()
	if got := s.status(g); got != want {
		s.t.Errorf("the gift is %s, want %s", got, want)
	}
}

// attempts counts the redemptions of a gift by status.
func (s *stall) attempts(g gift.Made, status string) string {
	s.t.Helper()
	return s.text(`SELECT count(*) FROM gifts.gift_redemptions WHERE gift_code_id = $1 AND status = $2`, g.ID, status)
}

// lastEntry is the newest ledger row of a user.
func (s *stall) lastEntry(c creditcore.Caller) creditcore.Entry {
	s.t.Helper()
	list, err := s.ledger.History(s.t.Context(), c, 1, 0)
	if err != nil || len(list) != 1 {
		s.t.Fatalf("history: %v, %v", list, err)
	}
	return list[0]
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

func of(credits int64) creditcore.Amount { return creditcore.Credits(credits) }
