package counters

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/ulule/limiter/v3"
)

// A flood of new addresses, IPv4 or IPv6, takes a bounded amount of memory, and
// frees nobody who is over a limit.
func TestLimitsHoldUnderAFlood(t *testing.T) {
	before := heapNow()
	m := newMemoryLimits(keysPerShard)
	rate := limiter.Rate{Limit: 20, Period: time.Hour}
	count := func(key string) limiter.Context {
		c, err := m.Get(t.Context(), key, rate)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 21 {
		count("gate:ip:192.0.2.1")
	}
	for i := range 1_000_000 {
		count("gate:ip:" + m.ClientNetwork(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
	for i := range 1_000_000 {
		count("gate:ip:" + m.ClientNetwork(netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
	if took := int64(heapNow()) - int64(before); took > 64<<20 {
		t.Errorf("two million addresses took %d MiB", took>>20)
	}
	if !count("gate:ip:192.0.2.1").Reached {
		t.Error("the flood freed a client who was over the limit")
	}
	if n := m.keys.Load(); n > keysPerShard*limitShards {
		t.Errorf("%d keys", n)
	}
	runtime.KeepAlive(m)
}

func heapNow() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// As room gets scarce, an IPv6 client counts as a wider network.
func TestNetworksGrowUnderPressure(t *testing.T) {
	t.Parallel()
	m := newMemoryLimits(4)
	ip := netip.MustParseAddr("2001:db8:1:2:3::4")
	rate := limiter.Rate{Limit: 1, Period: time.Hour}
	seen := []string{m.ClientNetwork(ip)}
	for i := range 10_000 {
		if _, err := m.Get(t.Context(), fmt.Sprint(i), rate); err != nil {
			t.Fatal(err)
		}
		if now := m.ClientNetwork(ip); now != seen[len(seen)-1] {
			seen = append(seen, now)
		}
	}
	if got, want := fmt.Sprint(seen), "[2001:db8:1:2::/64 2001:db8:1::/56 2001:db8:1::/48]"; got != want {
		t.Errorf("networks %s, want %s", got, want)
	}
	if got := m.ClientNetwork(netip.MustParseAddr("::ffff:192.0.2.1")); got != "192.0.2.1" {
		t.Errorf("IPv4: %s", got)
	}
}

// Counters begin anew when their window is over, can be set back, and go.
func TestLimitWindows(t *testing.T) {
	t.Parallel()
	m := newMemoryLimits(8)
	rate := limiter.Rate{Limit: 2, Period: 50 * time.Millisecond}
	var c limiter.Context
	for i := range 3 {
		c, _ = m.Get(t.Context(), "k", rate)
		if want := i >= 2; c.Reached != want {
			t.Errorf("request %d: reached %v, want %v", i, c.Reached, want)
		}
	}
	if c, _ = m.Peek(t.Context(), "k", rate); !c.Reached {
		t.Error("a look changed the counter")
	}
	if c, _ = m.Reset(t.Context(), "k", rate); c.Reached || c.Remaining != 2 || m.keys.Load() != 0 {
		t.Errorf("set back: %+v, %d keys", c, m.keys.Load())
	}
	_, _ = m.Increment(t.Context(), "k", 3, rate)
	time.Sleep(60 * time.Millisecond)
	if c, _ = m.Get(t.Context(), "k", rate); c.Reached || c.Remaining != 1 {
		t.Errorf("after the window: %+v", c)
	}
}
