package counters

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	redisstore "github.com/ulule/limiter/v3/drivers/store/redis"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/logging"
)

const (
	limitPrefix = "mana:limit"
	// redisWait bounds one question to Redis; limits are on every request's way.
	redisWait     = 500 * time.Millisecond
	redisDialWait = 2 * time.Second
	// redisPause is how long Redis is left alone after it failed.
	redisPause = 2 * time.Second
)

// redisClients are shared by their URL, so that limits keep their client while
// other settings change.
var redisClients = caddy.NewUsagePool()

// Redis is a client that all runtimes with one URL share, and the counters in it.
type Redis struct {
	Client redis.UniversalClient
	Limits limiter.Store
}

// Destruct implements [caddy.Destructor].
func (s Redis) Destruct() error { return s.Client.Close() }

// OpenRedis makes a client without connecting it: Redis may be away, also
// at the start.
func OpenRedis(url config.Secret, log *slog.Logger) (Redis, func(), error) {
	key := sha256.Sum256([]byte(url.Reveal()))
	value, _, err := redisClients.LoadOrNew(key, func() (caddy.Destructor, error) {
		at, err := config.ParseRedis(url.Reveal())
		if err != nil {
			return nil, err
		}
		client := at.Client(redisDialWait)
		return Redis{client, &redisLimits{client: client, local: Process(), log: log}}, nil
	})
	if err != nil {
		return Redis{}, nil, err
	}
	release := func() {
		if _, err := redisClients.Delete(key); err != nil {
			log.Warn("close Redis", "error", err)
		}
	}
	return value.(Redis), release, nil
}

// redisLog keeps the client library from writing to stderr by itself.
type redisLog struct{}

// Printf implements the library's logger.
func (redisLog) Printf(ctx context.Context, format string, args ...any) {
	logging.Live().DebugContext(ctx, "redis: "+fmt.Sprintf(format, args...))
}

func init() { redis.SetLogger(redisLog{}) }

// redisLimits counts in Redis and, while that is away, in this process: limits
// get looser by the number of edges, but they hold.
type redisLimits struct {
	client redis.UniversalClient
	local  *memoryLimits
	log    *slog.Logger

	opening sync.Mutex
	remote  atomic.Pointer[limiter.Store]
	retryAt atomic.Int64 // Unix nanoseconds; 0 while Redis answers
}

// Get implements [limiter.Store].
func (s *redisLimits) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.use(ctx, func(ctx context.Context, store limiter.Store) (limiter.Context, error) {
		return store.Get(ctx, key, rate)
	})
}

// Peek implements [limiter.Store].
func (s *redisLimits) Peek(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.use(ctx, func(ctx context.Context, store limiter.Store) (limiter.Context, error) {
		return store.Peek(ctx, key, rate)
	})
}

// Reset implements [limiter.Store].
func (s *redisLimits) Reset(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.use(ctx, func(ctx context.Context, store limiter.Store) (limiter.Context, error) {
		return store.Reset(ctx, key, rate)
	})
}

// Increment implements [limiter.Store].
func (s *redisLimits) Increment(ctx context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	return s.use(ctx, func(ctx context.Context, store limiter.Store) (limiter.Context, error) {
		return store.Increment(ctx, key, count, rate)
	})
}

// use asks Redis, else the memory of this process.
func (s *redisLimits) use(ctx context.Context, ask func(context.Context, limiter.Store) (limiter.Context, error)) (limiter.Context, error) {
	if time.Now().UnixNano() < s.retryAt.Load() {
		return ask(ctx, s.local)
	}
	bounded, cancel := context.WithTimeout(ctx, redisWait)
	defer cancel()
	store, err := s.open(bounded)
	if err == nil {
		var answer limiter.Context
		if answer, err = ask(bounded, store); err == nil {
			if s.retryAt.Load() != 0 && s.retryAt.Swap(0) != 0 {
				s.log.Info("Redis answers again, rate limits are shared")
			}
			return answer, nil
		}
	}
	if ctx.Err() == nil {
		if s.retryAt.Swap(time.Now().Add(redisPause).UnixNano()) == 0 {
			s.log.Error("Redis is away, rate limits are counted per process", "error", err)
		}
	}
	return ask(ctx, s.local)
}

// ClientNetwork is that of the counters in memory while those count.
func (s *redisLimits) ClientNetwork(ip netip.Addr) string {
	if s.retryAt.Load() != 0 {
		return s.local.ClientNetwork(ip)
	}
	return clientNetwork(ip, 64)
}

// open loads the store's scripts into Redis, the first time it answers.
func (s *redisLimits) open(ctx context.Context) (limiter.Store, error) {
	if store := s.remote.Load(); store != nil {
		return *store, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if store := s.remote.Load(); store != nil {
		return *store, nil
	}
	if err := s.client.Ping(ctx).Err(); err != nil {
		return nil, err
	}
	store, err := redisstore.NewStoreWithOptions(s.client, limiter.StoreOptions{Prefix: limitPrefix})
	if err != nil {
		return nil, err
	}
	s.remote.Store(&store)
	return store, nil
}
