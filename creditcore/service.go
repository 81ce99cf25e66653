package creditcore

import (
	"encoding/binary"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
)

// Config sets the times of the ledger; zero takes the default named.
type Config struct {
	HoldTTL     time.Duration // 60 seconds
	ReapEvery   time.Duration // 30 seconds: expired holds
	ExpireEvery time.Duration // 60 seconds: expired lots nobody touches
	// DoubtWait is when a debit whose answer was lost is looked for, 15
	// seconds: longer than PostgreSQL is given for a statement.
	DoubtWait time.Duration
	// BeatEvery is how often this process says what it has in flight, a second.
	BeatEvery time.Duration
	// GoneAfter is how long a process must have been silent for others to give
	// back what it had in flight, 10 seconds. It is the same for all of them.
	GoneAfter time.Duration
	// KeepHolds is how long holds are kept once they are resolved, 48 hours.
	KeepHolds time.Duration
	// SettlementRetry is when a settlement that failed is tried again, a second.
	// Each pause after that is twice as long, up to 15 seconds.
	SettlementRetry time.Duration
	// FlushEvery is how often what was charged to leases is written, 50 milliseconds.
	FlushEvery time.Duration
	// LeaseTTL is when the lease of a process that is gone is given back, 15 seconds,
	// and LeaseIdle when that of a user who asks for nothing is, 3 seconds.
	LeaseTTL, LeaseIdle time.Duration
	// Prices are those of the config, which stand where the price book in force has no
	// price of the name.
	Prices Prices
	// LowBalance is the threshold of accounts that have none of their own, zero
	// for none. It is told here only; connections bring it as mana.low_balance,
	// see [LowBalanceSetting].
	LowBalance Amount
	// Daily are free credits that every user with a verified address has each day (UTC),
	// zero for none.
	Daily Amount
	// ExpiryNotice is how long before the end of credits their owner is told,
	// zero for never.
	ExpiryNotice time.Duration
}

// Deps is what the ledger works with. Logger has a default. The time is
// PostgreSQL's.
type Deps struct {
	Pool *pgxpool.Pool
	// Replica answers for history and usage, which may be some moments old; nil
	// for none.
	Replica  *dbscope.Replica
	Logger   *slog.Logger
	Observer Observer
}

// Observer receives measurements. Each func may be nil and must not block.
type Observer struct {
	Debit        func(outcome string, took time.Duration)
	Grant        func(source string, amount Amount)
	Hold         func(event string) // opened, settled, released, expired, late
	Batch        func(size int)
	Compensation func(outcome string) // refunded, retried, dropped
	Settlement   func(outcome string) // of those that were retried: settled, given_up
}

// Service is the ledger. It is safe for concurrent use.
type Service struct {
	cfg     Config
	db      dbscope.DB
	replica *dbscope.Replica
	log     *slog.Logger
	observe Observer

	gifts         Gifts
	changes       *batcher
	reads         *reader
	compensations compensations
	flights       flights
	reservations  reservations
	leases        leases
	book          priceBook
	plans         *remembered[string]   // names of plans
	dailies       *remembered[struct{}] // who need not be looked at again today
	settling      atomic.Int64          // settlements that are tried again
}

// New connects nothing. [Service.Run] must be running for holds and lots to
// expire unasked, for compensations to happen, and for what is in flight to be
// known to others.
func New(cfg Config, deps Deps) *Service {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&cfg.HoldTTL, time.Minute)
	set(&cfg.ReapEvery, 30*time.Second)
	set(&cfg.ExpireEvery, time.Minute)
	set(&cfg.DoubtWait, 15*time.Second)
	set(&cfg.BeatEvery, time.Second)
	set(&cfg.GoneAfter, 10*time.Second)
	set(&cfg.KeepHolds, 48*time.Hour)
	set(&cfg.SettlementRetry, time.Second)
	set(&cfg.FlushEvery, 50*time.Millisecond)
	set(&cfg.LeaseTTL, 15*time.Second)
	set(&cfg.LeaseIdle, 3*time.Second)
	s := &Service{cfg: cfg, db: dbscope.DB{Pool: deps.Pool, Error: dbError}, replica: deps.Replica, log: deps.Logger, observe: deps.Observer}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.gifts = noGifts{}
	s.changes = newBatcher(s.carryOut)
	s.reads = newReader(s.readBalances)
	s.flights = flights{open: make(map[string]Entry), answered: make(map[string]Entry), lost: make(map[string]bool)}
	s.compensations = newCompensations()
	s.leases.accounts = make(map[string]*lease)
	s.plans, s.dailies = remember[string](mostPlansKnown), remember[struct{}](mostDailyKnown)
	s.book.inForce.Store(&inForce{prices: cfg.Prices})
	return s
}

// newID is a UUID whose first bits are the time (RFC 9562, section 5.7), so
// that new rows lie side by side in the index.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// idBefore is below every id that is made at that time or later.
func idBefore(t time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(t.UnixMilli())<<16)
	return id.String()
}
