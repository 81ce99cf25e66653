package coupon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// counter is a coupon service with a database, a ledger and a clock of its own.
type counter struct {
	*coupon.Service
	t      *testing.T
	db     *pgtest.Database
	ledger *creditcore.Service
	gifts  *gift.Service

	mu    sync.Mutex
	ahead time.Duration
	seen  map[string]int // what the observer was told
}

// newCounter opens a counter. At the end of the test its books are audited.
func newCounter(t *testing.T, change ...func(*coupon.Config)) *counter {
	t.Helper()
	s := openCounter(t, pgtest.New(t), sealer("first"), change...)
	t.Cleanup(s.sound)
	return s
}

func openCounter(t *testing.T, db *pgtest.Database, seal sealed.Sealer, change ...func(*coupon.Config)) *counter {
	t.Helper()
	s := &counter{t: t, db: db, seen: map[string]int{}}
	s.ledger = creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	s.gifts = gift.New(gift.Config{BaseURL: "https://auth.mana.how"}, gift.Deps{Pool: db.Pool, Ledger: s.ledger})
	cfg := coupon.Config{Mailbox: mailbox, SweepEvery: 10 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	s.Service = coupon.New(cfg, coupon.Deps{
		Pool: db.Pool, Ledger: s.ledger, Sealer: seal, Now: s.now,
		Observer: coupon.Observer{
			Coupon: func(event string) { s.saw("coupon " + event) }, Trial: func(event string) { s.saw("trial " + event) },
		},
	})
	return s
}

// mailbox is a simple reading of addresses: no tags, and mail.test is a public provider.
func mailbox(address string) coupon.Mailbox {
	local, domain, _ := strings.Cut(address, "@")
	local, _, _ = strings.Cut(local, "+")
	parts := strings.Split(domain, ".")
	return coupon.Mailbox{
		Name: local + "@" + domain, Domain: domain, Registrable: strings.Join(parts[max(len(parts)-2, 0):], "."), Public: domain == "mail.test",
	}
}

// sealer marks what it seals with its name. It opens what any did but "stranger".
type sealer string

func (s sealer) Seal(plain []byte) (string, error) {
	return fmt.Sprintf("%s.%x", string(s), plain), nil
}
func (s sealer) Open(sealed string) (plain []byte, err error) {
	_, text, _ := strings.Cut(sealed, ".")
	if s == "stranger" {
		return nil, errors.New("sealed with another secret")
	}
	_, err = fmt.Sscanf(text, "%x", &plain)
	return plain, err
}
func (s sealer) SealedByFirst(sealed string) bool { return strings.HasPrefix(sealed, string(s)+".") }

func (s *counter) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// pass lets time go by.
func (s *counter) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *counter) saw(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[event]++
}

func (s *counter) told(event string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[event]
}

// sound audits the ledger, its chain, the gifts and the coupons.
func (s *counter) sound() {
	if s.t.Failed() {
		return
	}
	ctx := context.WithoutCancel(s.t.Context())
	report, err := s.ledger.Audit(ctx)
	if err != nil || len(report.Breaches) > 0 {
		s.t.Errorf("the ledger: %+v, %v", report.Breaches, err)
	}
	if breaches, err := s.Audit(ctx); err != nil || len(breaches) > 0 {
		s.t.Errorf("the coupons: %+v, %v", breaches, err)
	}
	if breaches, err := s.gifts.Audit(ctx); err != nil || len(breaches) > 0 {
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

func (s *counter) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := dbscope.Exec(s.t.Context(), s.db.Pool, dbscope.System(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// text is what a query with one value gives.
func (s *counter) text(sql string, args ...any) string {
	s.t.Helper()
	r, err := dbscope.Row[struct{ Text string }](s.t.Context(), s.db.Pool, dbscope.System(), `SELECT coalesce((`+sql+`)::text, '') AS text`, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text
}

// user makes a user with a proven address.
func (s *counter) user(id, address string) string {
	s.t.Helper()
	s.exec(`INSERT INTO auth.users (id, name, email, email_verified) VALUES ($1, 'Name of ' || $1, $2, true)`, id, address)
	return id
}

// users makes n users of a public mail provider.
func (s *counter) users(n int) []string {
	s.t.Helper()
	list := make([]string, n)
	for i := range list {
		list[i] = s.user(fmt.Sprintf("user-%02d", i), fmt.Sprintf("user-%02d@mail.test", i))
	}
	return list
}

func (s *counter) inTx(fn func(context.Context, pgx.Tx) error) error {
	return dbscope.InTx(s.t.Context(), s.db.Pool, dbscope.System(), func(tx pgx.Tx) error { return fn(s.t.Context(), tx) })
}

// make makes a coupon of 10 credits that must be.
func (s *counter) make(code string, change ...func(*coupon.Terms)) (coupon.Coupon, string) {
	s.t.Helper()
	terms := coupon.Terms{Name: "Spring", Credits: creditcore.Credits(10)}
	for _, f := range change {
		f(&terms)
	}
	made, text, err := s.Create(s.t.Context(), code, terms, nil)
	if err != nil {
		s.t.Fatalf("create: %v", err)
	}
	return made, text
}

// take redeems with success.
func (s *counter) take(userID, code string) coupon.Redemption {
	s.t.Helper()
	r, err := s.Redeem(s.t.Context(), coupon.Claim{UserID: userID, Code: code})
	if err != nil {
		s.t.Fatalf("redeem for %s: %v", userID, err)
	}
	return r
}

// patiently redeems as a client does that tries again where a busy machine had no
// time for it.
func (s *counter) patiently(c coupon.Claim) (r coupon.Redemption, err error) {
	for range 20 {
		if r, err = s.Redeem(s.t.Context(), c); !errors.Is(err, creditcore.ErrUnavailable) {
			break
		}
	}
	return r, err
}

// refused redeems in vain.
func (s *counter) refused(userID, code string, want coupon.Refusal) {
	s.t.Helper()
	if _, err := s.Redeem(s.t.Context(), coupon.Claim{UserID: userID, Code: code}); !errors.Is(err, want) {
		s.t.Errorf("redeem for %s: %v, want %q", userID, err, want)
	}
}

func (s *counter) wantBalance(userID string, credits int64) {
	s.t.Helper()
	b, err := s.ledger.BalanceOf(s.t.Context(), userID)
	if err != nil || b.Available != creditcore.Credits(credits) {
		s.t.Errorf("%s has %s, want %d, %v", userID, b.Available, credits, err)
	}
}

// erase takes away who a user was, as the identity core does.
func (s *counter) erase(userID string) {
	s.t.Helper()
	if err := s.inTx(func(ctx context.Context, tx pgx.Tx) error { return s.EraseTx(ctx, tx, userID) }); err != nil {
		s.t.Fatal(err)
	}
	s.exec(`UPDATE auth.users SET deleted_at = now(), name = '', email_verified = false, email = 'deleted-' || id || '@deleted.invalid' WHERE id = $1`, userID)
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
