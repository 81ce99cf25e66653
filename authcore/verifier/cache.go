package verifier

import (
	"crypto/sha256"
	"time"

	"github.com/maypok86/otter/v2"
)

// digest keys a cache by a secret without keeping the secret: the first half
// of its SHA-256, which leaves 2^128 tries to find another secret of the same.
type digest [sha256.Size / 2]byte

func digestOf[T ~string | ~[]byte](secret T) digest {
	var buffer [1024]byte // on the stack: most secrets fit
	sum := sha256.Sum256(append(buffer[:0], secret...))
	return digest(sum[:])
}

// newCache makes a cache of a number of entries that forgets each at its time,
// by the clock given. Losing an entry before costs a verification or a reading,
// never a session.
func newCache[K comparable, V any](limit int, now clock, ends func(V) time.Time) *otter.Cache[K, V] {
	return otter.Must(&otter.Options[K, V]{
		MaximumSize: limit,
		Clock:       now,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[K, V]) time.Duration {
			return max(1, ends(e.Value).Sub(now()))
		}),
	})
}

// clock is a clock in the form that caches take.
type clock func() time.Time

// NowNano implements [otter.Clock].
func (c clock) NowNano() int64 { return c().UnixNano() }

// Tick implements [otter.Clock].
func (clock) Tick(d time.Duration) <-chan time.Time { return time.Tick(d) }
