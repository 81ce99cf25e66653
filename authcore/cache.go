package authcore

import (
	"crypto/sha256"
	"sync"
	"time"
)

const cacheShards = 64

// digest keys a cache by a secret without keeping the secret.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

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
	expires time.Time
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
	if !ok || !now.Before(e.expires) {
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
	sh.m[k] = cacheEntry[V]{v, expires}
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
		if !now.Before(e.expires) || (seen == sample-1 && !freed) {
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

// dropIf forgets every entry that the condition holds for. It looks at all.
func (c *cache[V]) dropIf(condition func(V) bool) {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.Lock()
		for k, e := range sh.m {
			if condition(e.value) {
				delete(sh.m, k)
			}
		}
		sh.Unlock()
	}
}
