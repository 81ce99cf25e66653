package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/counters"
	"mana.how/edge/caddymodule/metrics"
)

// Runtime is what lives behind the app: connections, keys and caches. It is
// shared by all generations of the config whose settings are equal.
type Runtime struct {
	Cores
	// Pool are the connections to the database, as the login role.
	Pool *pgxpool.Pool
	// Redis is nil where none is configured.
	Redis redis.UniversalClient
	// Limits counts for rate limits, in Redis or in this process.
	Limits limiter.Store

	handedOut atomic.Bool
	requests  atomic.Int64 // those of the API that are under way
	closers   []func()     // in order of acquisition
	closeOnce sync.Once
	condition condition
	schema    int // of the last migration
	background
}

// background are the goroutines of a runtime.
type background struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// newRuntime connects, migrates and starts. Where it fails it has closed what
// it had opened. ctx bounds the start only.
func newRuntime(ctx context.Context, s config.Settings, log *slog.Logger) (_ *Runtime, err error) {
	run, cancel := context.WithCancel(context.Background())
	rt := &Runtime{background: background{cancel: cancel}}
	defer func() {
		if err != nil {
			rt.close()
		}
	}()

	at, key, err := rt.openDatabase(ctx, s, log)
	if err != nil {
		return nil, err
	}
	replica, err := rt.openReplica(ctx, s.Replica, at, log)
	if err != nil {
		return nil, err
	}
	if err := rt.openLimits(s.Redis, log); err != nil {
		return nil, err
	}
	pictures, closePictures, err := newPictures(s)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	rt.onClose(closePictures)
	rt.Cores, err = NewCores(ctx, s, CoresDeps{
		Pictures: pictures,
		Pool:     rt.Pool, Replica: replica, ListenDSN: at.Listen, Redis: rt.Redis, Logger: log, Key: key,
		Later: func(work func(context.Context)) { rt.do(func() { work(run) }) },
	})
	if err != nil {
		return nil, err
	}
	rt.onClose(rt.Auth.Close)
	// What is for sale: what the config names, and the plans of the family that
	// are missing.
	if err := rt.Billing.Seed(ctx); err != nil {
		return nil, fmt.Errorf("stripe: write plans and packages: %w", err)
	}

	for name, work := range map[string]func(context.Context) error{
		"identity core": rt.Auth.Run, "ledger": rt.Credits.Run, "gifts": rt.Gifts.Run, "coupons": rt.Coupons.Run, "guests": rt.Guests.Run, "abuse": rt.Abuse.Run, "billing": rt.Billing.Run, "proof of the ledger": rt.Proof.Run,
	} {
		rt.do(func() { keepRunning(run, name, work, log) })
	}
	rt.do(func() { rt.Mail.Outbox().Run(run) })
	rt.do(func() { rt.Webhooks.Run(run) })
	rt.do(func() { rt.tellAlerts(run, log) })
	rt.do(func() { metrics.Process.CountOutbox(run, rt.Mail.Outbox().Counts, log) })
	rt.do(func() { metrics.Process.CountUsers(run, rt.Pool, log) })
	rt.do(func() { metrics.Process.CountHolds(run, rt.Pool, log) })
	rt.do(func() { metrics.Process.LookAtDatabase(run, rt.Pool, log) })
	rt.do(func() { rt.condition.watch(run, rt) })
	rt.do(func() { rt.useFunctions(run, log) })
	if feed := newEventFeed(s.Events, rt.Pool, log); feed != nil {
		rt.do(func() { feed.run(run) })
	}
	return rt, nil
}

// openLimits picks where rate limits are counted.
func (rt *Runtime) openLimits(url config.Secret, log *slog.Logger) error {
	rt.Limits = counters.Process()
	if !url.IsSet() {
		return nil
	}
	shared, release, err := counters.OpenRedis(url, log)
	if err != nil {
		return err
	}
	rt.onClose(release)
	rt.Redis, rt.Limits = shared.Client, shared.Limits
	return nil
}

func (rt *Runtime) onClose(f func()) { rt.closers = append(rt.closers, f) }

func (b *background) do(f func()) {
	b.done.Go(f)
}

// HandOut notes that a request may hold the runtime.
func (rt *Runtime) HandOut() {
	if !rt.handedOut.Load() {
		rt.handedOut.Store(true)
	}
}

// Enter notes that a request is under way, until leave.
func (rt *Runtime) Enter() (leave func()) {
	rt.HandOut()
	rt.requests.Add(1)
	return func() { rt.requests.Add(-1) }
}

// inUse reports whether a request is under way, at the API or past a gate, or
// money that one has moved waits for the database.
func (rt *Runtime) inUse() bool {
	return rt.requests.Load() > 0 || rt.Auth.Watching() || rt.Credits.Owes()
}

// DeafTimeout is how long this edge may read revocations over the pool before
// it asks to be left out: PostgreSQL is short of connections then, or the way
// to it is cut.
var DeafTimeout = 30 * time.Second

// Ready fails while requests that need the database cannot be served, or
// nothing was heard of other edges for long.
func (rt *Runtime) Ready(ctx context.Context) error {
	if err := checkWrites(ctx, rt.Pool); err != nil {
		return err
	}
	if age, ok := rt.Auth.Listening(); !ok && age > DeafTimeout {
		return fmt.Errorf("LISTEN is interrupted since %s", age.Round(time.Second))
	}
	return nil
}

// close ends the background work and gives back everything, newest first.
func (rt *Runtime) close() {
	rt.closeOnce.Do(func() {
		rt.cancel()
		rt.done.Wait()
		for i := len(rt.closers) - 1; i >= 0; i-- {
			rt.closers[i]()
		}
	})
}

// keepRunning runs a service until ctx ends, and again after a second where it
// gave up before.
func keepRunning(ctx context.Context, name string, run func(context.Context) error, log *slog.Logger) {
	for ctx.Err() == nil {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended")
		}
		log.Error("background work stopped, starting it again", "of", name, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
