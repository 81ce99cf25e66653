package guest_test

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
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// family is a database that edges share, with a clock of its own.
type family struct {
	t  *testing.T
	db *pgtest.Database

	mu    sync.Mutex
	ahead time.Duration
	seen  map[string]int
}

// newFamily begins at noon, so that no test sees midnight by chance.
func newFamily(t *testing.T) *family {
	t.Helper()
	now := time.Now().UTC()
	noon := time.Date(now.Year(), now.Month(), now.Day(), 12, 0, 0, 0, time.UTC)
	return &family{t: t, db: pgtest.New(t), ahead: noon.Sub(now), seen: map[string]int{}}
}

func (f *family) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.ahead)
}

// pass lets time go by.
func (f *family) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ahead += d
}

func (f *family) told(event string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[event]
}

// edge is one of the family's.
type edge struct {
	*guest.Service
	coupons *coupon.Service
	ledger  *creditcore.Service
}

func (f *family) edge() edge {
	e := edge{ledger: creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: f.db.Pool})}
	e.coupons = coupon.New(coupon.Config{Mailbox: mailbox}, coupon.Deps{Pool: f.db.Pool, Ledger: e.ledger, Sealer: sealer("first"), Now: f.now})
	e.Service = guest.New(guest.Config{SweepEvery: 10 * time.Millisecond}, guest.Deps{
		Pool: f.db.Pool, Ledger: e.ledger, Coupons: e.coupons, Sealer: sealer("first"), Now: f.now,
		Observer: guest.Observer{Promise: func(event string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.seen[event]++
		}},
	})
	f.t.Cleanup(func() { f.sound(e) })
	return e
}

// sound audits the ledger, and where its promotional credits come from.
func (f *family) sound(e edge) {
	if f.t.Failed() {
		return
	}
	ctx := context.WithoutCancel(f.t.Context())
	if report, err := e.ledger.Audit(ctx); err != nil || len(report.Breaches) > 0 {
		f.t.Errorf("the ledger: %+v, %v", report.Breaches, err)
	}
	if breaches, err := e.coupons.Audit(ctx); err != nil || len(breaches) > 0 {
		f.t.Errorf("promotional credits: %+v, %v", breaches, err)
	}
}

// mailbox is a simple reading of addresses: no tags.
func mailbox(address string) coupon.Mailbox {
	local, domain, _ := strings.Cut(address, "@")
	local, _, _ = strings.Cut(local, "+")
	return coupon.Mailbox{Name: local + "@" + domain, Domain: domain, Registrable: domain, Public: true}
}

// sealer marks what it seals with its name.
type sealer string

func (s sealer) Seal(plain []byte) (string, error) {
	return fmt.Sprintf("%s.%x", string(s), plain), nil
}
func (s sealer) Open(sealed string) (plain []byte, err error) {
	_, text, _ := strings.Cut(sealed, ".")
	_, err = fmt.Sscanf(text, "%x", &plain)
	return plain, err
}
func (s sealer) SealedByFirst(sealed string) bool { return strings.HasPrefix(sealed, string(s)+".") }

func (f *family) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := dbscope.Exec(f.t.Context(), f.db.Pool, dbscope.System(), sql, args...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *family) inTx(fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx := f.t.Context()
	return patient(func() error {
		return dbscope.InTx(ctx, f.db.Pool, dbscope.System(), func(tx pgx.Tx) error { return fn(ctx, tx) })
	})
}

// patient tries again what a busy machine had no time for.
func patient(work func() error) error {
	for range 20 {
		err := work()
		if !errors.Is(err, creditcore.ErrUnavailable) && !dbscope.IsUnavailable(err) {
			return err
		}
	}
	return work()
}

func (e edge) take(ctx context.Context, w guest.Wallet, of guest.Allowance, amount creditcore.Amount) (taken guest.Taken, err error) {
	err = patient(func() error {
		taken, err = e.Take(ctx, w, of, amount)
		return err
	})
	return taken, err
}

// wantLeft checks what a wallet may still spend.
func (f *family) wantLeft(e edge, w guest.Wallet, of guest.Allowance, want creditcore.Amount) {
	f.t.Helper()
	if left, err := e.Left(f.t.Context(), w, of); err != nil || left != want {
		f.t.Errorf("%+v has %s left, want %s, %v", w, left, want, err)
	}
}

// wantShort checks that a wallet does not pay, and by which limit.
func (f *family) wantShort(e edge, w guest.Wallet, of guest.Allowance, amount, available creditcore.Amount, limit guest.Limit) {
	f.t.Helper()
	_, err := e.take(f.t.Context(), w, of, amount)
	var spent *guest.SpentError
	var short *creditcore.InsufficientError
	if !errors.As(err, &spent) || spent.Available != available || spent.Required != amount || spent.Limit != limit ||
		!errors.As(err, &short) || short.Available != available {
		f.t.Errorf("%+v: %+v, want %s available by %s", w, err, available, limit)
		return
	}
	if wait := spent.Until.Sub(f.now()); wait <= 0 || wait > 24*time.Hour || spent.Until.UTC().Hour() != 0 {
		f.t.Errorf("until %v, now %v", spent.Until, f.now())
	}
}
