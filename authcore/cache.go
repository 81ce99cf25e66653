package authcore

import (
	"crypto/sha256"
	"sync"
	"time"
)

const cacheShards = 64

// digest keys a cache by a secret without keeping the secret: the first half
// of its SHA-256, which leaves 2^128 tries to find another secret of the same.
type digest [sha256.Size / 2]byte

func digestOf[T ~string | ~[]byte](secret T) digest {
	var buffer [1024]byte // on the stack: most secrets fit
	sum := sha256.Sum256(append(buffer[:0], secret...))
	return digest(sum[:])
}

// cache is a bounded map that forgets entries at their time. A full shard
// drops what has expired, else an arbitrary entry: losing one costs a
// verification, never a session.
type cache[V any] struct {
	limit  int
	shards [cacheShards]cacheShard[V]
}

type cacheShard[V any] struct {
	sync.RWMutex
	m map[digest]cacheEntry[V]
}

type cacheEntry[V any] struct {
	value   V
	expires int64 // Unix nanoseconds
}

func newCache[V any](limit int) *cache[V] {
	c := &cache[V]{limit: limit / cacheShards}
	for i := range c.shards {
		c.shards[i].m = make(map[digest]cacheEntry[V])
	}
	return c
}

func (c *cache[V]) get(k digest, now time.Time) (V, bool) {
	sh := &c.shards[k[0]%cacheShards]
	sh.RLock()
	e, ok := sh.m[k]
	sh.RUnlock()
	if !ok || now.UnixNano() >= e.expires {
		var zero V
		return zero, false
	}
	return e.value, true
}

func (c *cache[V]) put(k digest, v V, expires, now time.Time) {
	sh := &c.shards[k[0]%cacheShards]
	sh.Lock()
	defer sh.Unlock()
	if len(sh.m) >= c.limit {
		sh.evict(now)
	}
	sh.m[k] = cacheEntry[V]{v, expires.UnixNano()}
}

func (c *cache[V]) drop(k digest) {
	sh := &c.shards[k[0]%cacheShards]
	sh.Lock()
	delete(sh.m, k)
	sh.Unlock()
}

func (c *cache[V]) clear() {
	for i := range c.shards {
		c.shards[i].Lock()
		c.shards[i].m = make(map[digest]cacheEntry[V])
		c.shards[i].Unlock()
	}
}

// evict makes room in a full shard. It looks at a sample, so that a flood of
// new entries does not scan the shard each time.
func (sh *cacheShard[V]) evict(now time.Time) {
	const sample = 16
	seen := 0
	freed := false
	for k, e := range sh.m {
		if now.UnixNano() >= e.expires || (seen == sample-1 && !freed) {
			delete(sh.m, k)
			freed = true
		}
		if seen++; seen == sample {
			return
		}
	}
	if freed {
		return
	}
	for k := range sh.m {
		delete(sh.m, k)
		return
	}
}
