package creditcore

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
)

// Config sets the times of the ledger; zero takes the default named.
type Config struct {
	HoldTTL     time.Duration // 60 seconds
	ReapEvery   time.Duration // 30 seconds: expired holds
	ExpireEvery time.Duration // 60 seconds: expired lots nobody touches
}

// Deps is what the ledger works with. Logger and Now have defaults.
type Deps struct {
	Pool     *pgxpool.Pool
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Observer receives measurements. Each func may be nil and must not block.
type Observer struct {
	Debit        func(outcome string, took time.Duration)
	Grant        func(source string, amount Amount)
	Hold         func(event string) // opened, settled, released, expired, late
	Batch        func(size int)
	Compensation func(outcome string) // refunded, retried, dropped
}

// Service is the ledger. It is safe for concurrent use.
type Service struct {
	cfg     Config
	pool    *pgxpool.Pool
	log     *slog.Logger
	now     func() time.Time
	observe Observer

	debits        *batcher
	compensations compensations
}

// New connects nothing. [Service.Run] must be running for holds and lots to
// expire unasked and for compensations to happen.
func New(cfg Config, deps Deps) *Service {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&cfg.HoldTTL, time.Minute)
	set(&cfg.ReapEvery, 30*time.Second)
	set(&cfg.ExpireEvery, time.Minute)
	s := &Service{cfg: cfg, pool: deps.Pool, log: deps.Logger, now: deps.Now, observe: deps.Observer}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.debits = newBatcher(s.debitBatch)
	s.compensations = newCompensations()
	return s
}

// databaseWait bounds one use of the database, the wait for a connection
// included.
const databaseWait = 4 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, databaseWait)
}

func row[T any](ctx context.Context, s *Service, scope dbscope.Scope, sql string, args ...any) (T, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	v, err := dbscope.Row[T](ctx, s.pool, scope, sql, args...)
	return v, dbError(err)
}

func rows[T any](ctx context.Context, s *Service, scope dbscope.Scope, sql string, args ...any) ([]T, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	list, err := dbscope.Rows[T](ctx, s.pool, scope, sql, args...)
	return list, dbError(err)
}

func (s *Service) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	n, err := dbscope.Exec(ctx, s.pool, dbscope.System(), sql, args...)
	return n, dbError(err)
}

func (s *Service) inTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return dbError(dbscope.InTx(ctx, s.pool, dbscope.System(), func(tx pgx.Tx) error { return fn(ctx, tx) }))
}

// newID is a UUID whose first bits are the time (RFC 9562, section 5.7), so
// that new rows lie side by side in the index.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
