package guest

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/dbscope"
)

// secretName is that of the secret in credits.secrets.
const secretName = "guests"

// Config sets how often work is done; zero takes the default named.
type Config struct {
	// SweepEvery is how often old counters are removed, and promises looked for that
	// were not given though the address is proven, 30 seconds.
	SweepEvery time.Duration
}

// Deps is what the service works with. Logger and Now have defaults.
type Deps struct {
	Pool   *pgxpool.Pool
	Ledger *creditcore.Service
	// Coupons know the person behind an account.
	Coupons *coupon.Service
	// GrantedTx is told of each promise in the transaction that gives it; nil for nobody.
	GrantedTx func(ctx context.Context, tx pgx.Tx, userID string, credits creditcore.Amount) error
	// Sealer is nil where there is no encryption key: guests have nothing then.
	Sealer   sealed.Sealer
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Observer receives measurements. Its func may be nil and must not block.
type Observer struct {
	Promise func(event string) // made, given, refused
}

// Service counts what guests spend. It is safe for concurrent use.
type Service struct {
	cfg     Config
	db      dbscope.DB
	ledger  *creditcore.Service
	coupons *coupon.Service
	log     *slog.Logger
	now     func() time.Time
	observe Observer
	secret  sealed.Secret
	// grantedTx may be nil.
	grantedTx func(context.Context, pgx.Tx, string, creditcore.Amount) error
	keys      atomic.Pointer[keys]
}

// New connects nothing. [Service.Run] must be running for counters to be removed.
func New(cfg Config, deps Deps) *Service {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = 30 * time.Second
	}
	db := dbscope.DB{Pool: deps.Pool, Error: dbError}
	s := &Service{
		cfg: cfg, db: db, ledger: deps.Ledger, coupons: deps.Coupons, log: deps.Logger, now: deps.Now, observe: deps.Observer, grantedTx: deps.GrantedTx,
		secret: sealed.Secret{Name: secretName, DB: db, Sealer: deps.Sealer},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// keys are what devices and addresses are hashed with.
type keys struct{ device, address sealed.Key }

// openKeys opens the secret. It fails with [sealed.ErrNone], or
// [creditcore.ErrUnavailable].
func (s *Service) openKeys(ctx context.Context) (*keys, error) {
	if k := s.keys.Load(); k != nil {
		return k, nil
	}
	master, err := s.secret.Open(ctx)
	if err != nil {
		return nil, err
	}
	device, err := sealed.Derive(master, "guest-device")
	address, failed := sealed.Derive(master, "guest-address")
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	k := &keys{device, address}
	s.keys.Store(k)
	return k, nil
}

func system() dbscope.Scope { return dbscope.System() }

// today is the day of UTC.
func (s *Service) today() time.Time {
	now := s.now().UTC()
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
}

// counterRows are kept for as many days beside today.
const counterRows = 2

// Run seals the secret with today's encryption key, removes counters that are older than
// two days, and gives promises whose giving was interrupted, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if _, err := s.openKeys(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (s *Service) sweep(ctx context.Context) error {
	if err := s.prune(ctx); err != nil {
		return err
	}
	return s.giveWaiting(ctx)
}

// prune removes old counters.
func (s *Service) prune(ctx context.Context) error {
	_, err := s.db.Prune(ctx, "prune credits.guest_days",
		`DELETE FROM credits.guest_days AS g
		 WHERE (g.day, g.kind, g.subject) IN (
			SELECT o.day, o.kind, o.subject FROM credits.guest_days AS o WHERE o.day < $1::date ORDER BY o.day LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		s.today().AddDate(0, 0, -counterRows))
	return err
}

func (s *Service) tell(event string) {
	if s.observe.Promise != nil {
		s.observe.Promise(event)
	}
}
