package counters_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/counters"
	"mana.how/edge/internal/freeport"
)

// startRedis runs redis-server with these arguments until the end of t, and
// returns when it listens.
func startRedis(t *testing.T, address string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "redis-server", args...)
	cmd.Dir = t.TempDir()
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	stop = func() {
		cancel()
		_ = cmd.Wait()
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("redis-server %v:\n%s", args, out)
		}
	})
	eventually(t, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return stop
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// limits are the counters of an edge with the URL.
func limits(t *testing.T, url string) counters.Redis {
	t.Helper()
	found, release, err := counters.OpenRedis(config.NewSecret(url), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return found
}

// wantShared has two edges count in Redis. No limit fails meanwhile.
func wantShared(t *testing.T, one, two counters.Redis) {
	t.Helper()
	eventually(t, "two edges count in Redis", func() bool {
		key, rate := rand.Text(), limiter.Rate{Limit: 2, Period: time.Minute}
		reached := false
		for _, edge := range []counters.Redis{one, two, one} {
			got, err := edge.Limits.Get(t.Context(), key, rate)
			if err != nil {
				t.Fatalf("a limit failed: %v", err)
			}
			reached = got.Reached
		}
		n, err := one.Client.Get(t.Context(), "mana:limit:"+key).Int()
		return err == nil && n == 3 && reached
	})
}

// Where Sentinels say who the master is, limits and messages follow it: nobody is
// refused for its fall, and what two edges count is shared again behind it.
func TestLimitsFollowSentinels(t *testing.T) {
	t.Parallel()
	master, replica := freeport.Address(t), freeport.Address(t)
	plain := func(address string, more ...string) []string {
		return append([]string{"--bind", "127.0.0.1", "--port", portOf(t, address), "--save", "", "--repl-diskless-sync-delay", "0"}, more...)
	}
	stop := startRedis(t, master, plain(master)...)
	startRedis(t, replica, plain(replica, "--replicaof", "127.0.0.1 "+portOf(t, master))...)
	var sentinels []string
	for range 3 {
		address := freeport.Address(t)
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\nsentinel monitor mana 127.0.0.1 %s 2\nsentinel down-after-milliseconds mana 500\nsentinel failover-timeout mana 3000\n", portOf(t, address), portOf(t, master))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		startRedis(t, address, file, "--sentinel")
		sentinels = append(sentinels, address)
	}
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: sentinels[0]})
	defer sentinel.Close()
	eventually(t, "the Sentinels know each other and the replica", func() bool {
		others, err := sentinel.Sentinels(t.Context(), "mana").Result()
		replicas, replicaErr := sentinel.Replicas(t.Context(), "mana").Result()
		return err == nil && replicaErr == nil && len(others) == 2 && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})

	url := "redis://" + sentinels[0] + "/0?master_name=mana&addr=" + sentinels[1] + "&addr=" + sentinels[2]
	one, two := limits(t, url), limits(t, url+"&pool_size=5") // another URL is another client
	wantShared(t, one, two)
	stop()
	wantShared(t, one, two)
	if found, err := sentinel.GetMasterAddrByName(t.Context(), "mana").Result(); err != nil || net.JoinHostPort(found[0], found[1]) != replica {
		t.Errorf("the master is %v, %v", found, err)
	}
	heard := two.Client.Subscribe(t.Context(), "news")
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.Client.Publish(t.Context(), "news", "signed out").Err(); err != nil {
		t.Fatal(err)
	}
	if message, err := heard.ReceiveMessage(t.Context()); err != nil || message.Payload != "signed out" {
		t.Errorf("%v, %v", message, err)
	}
}

// In a Redis Cluster each limit lies on the node of its key.
func TestLimitsInARedisCluster(t *testing.T) {
	t.Parallel()
	var nodes []string
	for range 3 {
		address := freeport.Address(t)
		startRedis(t, address, "--bind", "127.0.0.1", "--port", portOf(t, address), "--save", "", "--cluster-enabled", "yes", "--cluster-port", portOf(t, freeport.Address(t)))
		nodes = append(nodes, address)
	}
	if out, err := exec.CommandContext(t.Context(), "redis-cli", append(append([]string{"--cluster", "create"}, nodes...), "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("make a cluster: %v\n%s", err, out)
	}
	url := "redis://" + nodes[0] + "?addr=" + nodes[1] + "&addr=" + nodes[2]
	one, two := limits(t, url), limits(t, url+"&pool_size=5")
	for range 10 { // keys of all nodes
		wantShared(t, one, two)
	}
	used := 0
	for _, node := range nodes {
		client := redis.NewClient(&redis.Options{Addr: node})
		if n, err := client.DBSize(t.Context()).Result(); err != nil {
			t.Error(err)
		} else if n > 0 {
			used++
		}
		client.Close()
	}
	if used < 2 {
		t.Errorf("the limits lie on %d nodes", used)
	}
}
