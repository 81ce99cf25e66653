package caddymodule

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

	"mana.how/edge/authcore"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
)

// Runtime is what lives behind the app: connections, keys and caches. It is
// shared by all generations of the config whose settings are equal.
type Runtime struct {
	// Auth is the identity core.
	Auth *authcore.Service
	// Credits is the ledger.
	Credits *creditcore.Service
	// Gifts are the gift codes.
	Gifts *gift.Service
	// Billing sells credits. It is there without Stripe, too.
	Billing *billing.Service
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
	background
}

// background are the goroutines of a runtime.
type background struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// newRuntime connects, migrates and starts. Where it fails it has closed what
// it had opened. ctx bounds the start only.
func newRuntime(ctx context.Context, s Settings, log *slog.Logger) (_ *Runtime, err error) {
	run, cancel := context.WithCancel(context.Background())
	rt := &Runtime{background: background{cancel: cancel}}
	defer func() {
		if err != nil {
			rt.close()
		}
	}()

	dsn, secrets, err := rt.openDatabase(ctx, s, log)
	if err != nil {
		return nil, err
	}
	if err := rt.openLimits(s.redis, log); err != nil {
		return nil, err
	}
	if err := rt.openCredits(ctx, s, log); err != nil {
		return nil, err
	}
	config := s.auth()
	config.Secrets = secrets
	people := accounts{
		ledger: rt.Credits, gifts: rt.Gifts, sales: rt.Billing, log: log,
		redeemUnverified: s.RedeemUnverified,
		later:            func(work func(context.Context)) { rt.do(func() { work(run) }) },
	}
	rt.Auth, err = authcore.New(ctx, config, authcore.Deps{
		Pool: rt.Pool, ListenDSN: dsn.listen, Redis: rt.Redis,
		Logger: log, Observer: collectors.authObserver(), Hooks: people.hooks(),
	})
	if err != nil {
		return nil, fmt.Errorf("start the identity core: %w", err)
	}
	rt.onClose(rt.Auth.Close)

	for name, work := range map[string]func(context.Context) error{
		"identity core": rt.Auth.Run, "ledger": rt.Credits.Run, "gifts": rt.Gifts.Run, "billing": rt.Billing.Run,
	} {
		rt.do(func() { keepRunning(run, name, work, log) })
	}
	rt.do(func() { collectors.countUsers(run, rt.Pool, log) })
	rt.do(func() { collectors.countHolds(run, rt.Pool, log) })
	return rt, nil
}

// openCredits makes the cores of the ledger and writes what is for sale: what
// the config names, and the plans of the family that are missing.
func (rt *Runtime) openCredits(ctx context.Context, s Settings, log *slog.Logger) error {
	rt.Credits, rt.Gifts, rt.Billing = s.credits(rt.Pool, log)
	if err := rt.Billing.Seed(ctx); err != nil {
		return fmt.Errorf("stripe: write plans and packages: %w", err)
	}
	return nil
}

// openLimits picks where rate limits are counted.
func (rt *Runtime) openLimits(url Secret, log *slog.Logger) error {
	rt.Limits = processLimits()
	if !url.IsSet() {
		return nil
	}
	shared, release, err := acquireRedis(url, log)
	if err != nil {
		return err
	}
	rt.onClose(release)
	rt.Redis, rt.Limits = shared.client, shared.limits
	return nil
}

func (rt *Runtime) onClose(f func()) { rt.closers = append(rt.closers, f) }

func (b *background) do(f func()) {
	b.done.Go(f)
}

// handOut notes that a request may hold the runtime.
func (rt *Runtime) handOut() {
	if !rt.handedOut.Load() {
		rt.handedOut.Store(true)
	}
}

// enter notes that a request is under way, until leave.
func (rt *Runtime) enter() (leave func()) {
	rt.handOut()
	rt.requests.Add(1)
	return func() { rt.requests.Add(-1) }
}

// inUse reports whether a request is under way, at the API or past a gate, or
// money that one has moved waits for the database.
func (rt *Runtime) inUse() bool {
	return rt.requests.Load() > 0 || rt.Auth.Watching() || rt.Credits.Owes() || late.waits(rt.Credits)
}

// deafPatience is how long this edge may read revocations over the pool before
// it asks to be left out: PostgreSQL is short of connections then, or the way
// to it is cut.
var deafPatience = 30 * time.Second

// Ready fails while requests that need the database cannot be served, or
// nothing was heard of other edges for long.
func (rt *Runtime) Ready(ctx context.Context) error {
	if err := checkWrites(ctx, rt.Pool); err != nil {
		return err
	}
	if age, ok := rt.Auth.Listening(); !ok && age > deafPatience {
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
