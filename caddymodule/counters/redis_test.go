package counters_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/ulule/limiter/v3"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/counters"
	"mana.how/edge/internal/freeport"
)

// Redis is optional also in the sense that it may be away: limits then hold in
// this process, and nobody waits.
func TestLimitsHoldWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	redis, release, err := counters.OpenRedis(config.NewSecret("redis://"+freeport.Address(t)), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	store := redis.Limits
	key := rand.Text() // counters live as long as the process
	rate := limiter.Rate{Limit: 3, Period: time.Minute}
	began := time.Now()
	for i := range 5 {
		got, err := store.Get(t.Context(), key, rate)
		if err != nil {
			t.Fatal(err)
		}
		if want := i >= 3; got.Reached != want {
			t.Errorf("request %d: reached %v, want %v", i+1, got.Reached, want)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("five requests took %s", took)
	}
}

// redisServer is a real Redis of the test's own; stop ends it before the test does.
func redisServer(t testing.TB, address string) (stop func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	stop = func() {
		cancel()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	eventually(t, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return stop
}

// Two edges share what they count, go on alone when Redis goes, and share
// again when it comes back.
func TestLimitsAreSharedThroughRedis(t *testing.T) {
	t.Parallel()
	address := freeport.Address(t)
	stop := redisServer(t, address)
	store := func(path string) limiter.Store {
		t.Helper()
		redis, release, err := counters.OpenRedis(config.NewSecret("redis://"+address+path), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		return redis.Limits
	}
	one, two := store("/0"), store("") // two clients of one database
	key := rand.Text()
	rate := limiter.Rate{Limit: 2, Period: time.Minute}
	get := func(s limiter.Store) limiter.Context {
		t.Helper()
		got, err := s.Get(t.Context(), key, rate)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	get(one)
	get(two)
	if !get(one).Reached {
		t.Error("two edges do not share their counts")
	}
	stop()
	if got := get(one); got.Reached || got.Remaining != 1 {
		t.Errorf("alone: %+v, want a count that begins anew", got)
	}
	redisServer(t, address)
	eventually(t, "Redis counts again", func() bool {
		got, err := one.Peek(t.Context(), key, rate)
		return err == nil && got.Remaining == 2
	})
	get(one)
	get(two)
	if !get(one).Reached {
		t.Error("two edges do not share their counts after the outage")
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 15 s: %s", what)
		}
	}
}
