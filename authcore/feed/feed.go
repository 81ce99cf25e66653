package feed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// Deps is what a [Feed] works with. Redis and Lag may be nil.
type Deps struct {
	DB     dbscope.DB
	Listen *pgx.ConnConfig // to PostgreSQL itself, not to a pooler in transaction mode
	Redis  redis.UniversalClient
	Log    *slog.Logger
	Now    func() time.Time

	// Unheard is until when, in Unix microseconds, changes of accounts may have been
	// missed.
	Unheard *atomic.Int64
	// Apply honours a revocation on this edge.
	Apply func(revocation.Revocation)
	// LoadKeys reads the signing keys, and Forget has a user read again.
	LoadKeys func(context.Context) error
	Forget   func(userID string)
	// Lag is told how old a revocation was when it was heard.
	Lag func(time.Duration)
	// Follow are what else is read again when its channel tells of a change, and whenever
	// one may have been missed.
	Follow map[string]func(context.Context) error
}

// Feed hears what other edges have done.
type Feed struct {
	with Deps
	// newestRevocation is the time of the newest that was read, by the
	// database's clock; readingRevocations guards it.
	newestRevocation   time.Time
	readingRevocations sync.Mutex
	heardAt            atomic.Pointer[time.Time] // the last heartbeat
	listening          atomic.Bool
}

// New makes a feed, which hears nothing until [Feed.Run].
func New(with Deps) *Feed {
	s := &Feed{with: with}
	began := time.Now()
	s.heardAt.Store(&began)
	return s
}

// Run hears and reads until ctx ends.
func (s *Feed) Run(ctx context.Context) {
	loops := []func(context.Context){s.listenLoop, s.pollLoop}
	if s.with.Redis != nil {
		loops = append(loops, s.redisLoop)
	}
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
}
