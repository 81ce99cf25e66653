package counters

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/common"
)

const (
	limitShards  = 64
	keysPerShard = 8192 // in all half a million keys, which take some 30 MiB
	// evictionSample is how many counters are compared when one has to go.
	evictionSample = 8
	limitSweep     = 30 * time.Second
)

// Process counts in memory. There is one store, and it is never closed:
// a reload does not forget who was over a limit.
var Process = sync.OnceValue(func() *memoryLimits { return newMemoryLimits(keysPerShard) })

// memoryLimits is a [limiter.Store] of bounded size, for keys that strangers
// choose. It counts in windows that begin with a key's first request. Where a
// new key finds no room, the least of a few counters goes: of a flood of keys
// that come once, those drive each other out, and who is over a limit stays so.
type memoryLimits struct {
	seed   maphash.Seed
	room   int // keys of a shard
	keys   atomic.Int64
	shards [limitShards]limitShard
}

// limitShard holds counters by the hash of their key: keys are as long as
// clients like, and one chance in 10^13 of a shared counter is none.
type limitShard struct {
	mu       sync.Mutex
	counters map[uint64]counter
	sweepAt  time.Time
}

type counter struct {
	count int64
	ends  int64 // Unix nanoseconds
}

func newMemoryLimits(room int) *memoryLimits {
	m := &memoryLimits{seed: maphash.MakeSeed(), room: room}
	for i := range m.shards {
		m.shards[i].counters = make(map[uint64]counter)
	}
	return m
}

// Get implements [limiter.Store].
func (m *memoryLimits) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return m.Increment(ctx, key, 1, rate)
}

// Increment implements [limiter.Store].
func (m *memoryLimits) Increment(_ context.Context, key string, by int64, rate limiter.Rate) (limiter.Context, error) {
	return m.change(key, rate, func(c *counter) { c.count += by }), nil
}

// Reset implements [limiter.Store].
func (m *memoryLimits) Reset(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return m.change(key, rate, func(c *counter) { *c = counter{} }), nil
}

// Peek implements [limiter.Store].
func (m *memoryLimits) Peek(_ context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return m.change(key, rate, func(*counter) {}), nil
}

// change looks a counter up, which begins anew where its window is over, and
// keeps what step made of it.
func (m *memoryLimits) change(key string, rate limiter.Rate, step func(*counter)) limiter.Context {
	hash := maphash.String(m.seed, key)
	shard := &m.shards[hash%limitShards]
	now := time.Now()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	before := len(shard.counters)
	c, known := shard.counters[hash]
	if known && c.ends <= now.UnixNano() {
		c = counter{}
	}
	if c.ends == 0 {
		c.ends = now.Add(rate.Period).UnixNano()
	}
	step(&c)
	switch {
	case c.count == 0:
		delete(shard.counters, hash)
	case !known && len(shard.counters) >= m.room:
		shard.makeRoom(now)
		fallthrough
	default:
		shard.counters[hash] = c
	}
	shard.sweep(now)
	m.keys.Add(int64(len(shard.counters) - before))
	ends := time.Unix(0, c.ends)
	if c.ends == 0 {
		ends = now.Add(rate.Period)
	}
	return common.GetContextFromState(now, rate, ends, c.count)
}

// makeRoom drops the least of some counters. Ranging over a map begins anywhere.
func (s *limitShard) makeRoom(now time.Time) {
	var least uint64
	lowest := int64(-1)
	seen := 0
	for hash, c := range s.counters {
		if c.ends <= now.UnixNano() {
			least = hash
			break
		}
		if lowest < 0 || c.count < lowest {
			least, lowest = hash, c.count
		}
		if seen++; seen == evictionSample {
			break
		}
	}
	delete(s.counters, least)
}

// sweep drops counters whose window is over, now and then.
func (s *limitShard) sweep(now time.Time) {
	if now.Before(s.sweepAt) {
		return
	}
	for hash, c := range s.counters {
		if c.ends <= now.UnixNano() {
			delete(s.counters, hash)
		}
	}
	s.sweepAt = now.Add(limitSweep)
}

// ClientNetwork is what one client holds: an IPv4 address, or the /64 of which
// an IPv6 client may take any address. Who holds more can make counters without
// end, so that the networks grow as room gets scarce: /56 where it is half
// taken, /48 where three quarters are.
func (m *memoryLimits) ClientNetwork(ip netip.Addr) string {
	bits := 64
	switch taken, room := m.keys.Load(), int64(m.room*limitShards); {
	case taken > room/4*3:
		bits = 48
	case taken > room/2:
		bits = 56
	}
	return clientNetwork(ip, bits)
}

// clientNetwork is an IPv4 address, or the network of an IPv6 address.
func clientNetwork(ip netip.Addr, bits int) string {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip.String()
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return network.String()
}

// Interface guards
var (
	_ limiter.Store = (*memoryLimits)(nil)
)
