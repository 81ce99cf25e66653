package creditcore

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

// remembered is what was read of accounts, each for as long as its reading said. What is
// over stays until it is read anew or others need its place: a cache that clears up by
// itself would need a goroutine, and somebody to end it.
type remembered[V any] struct {
	cache *otter.Cache[string, reading[V]]
	loads singleflight.Group
}

// reading is a value and when it is to be read again.
type reading[V any] struct {
	value V
	until time.Time
}

// remember makes room for the readings of so many accounts.
func remember[V any](most int) *remembered[V] {
	return &remembered[V]{cache: otter.Must(&otter.Options[string, reading[V]]{MaximumSize: most})}
}

// get returns what is known of an account, or reads it and how long it stands. Who asks
// together waits for the one who asked first, who may go.
func (r *remembered[V]) get(ctx context.Context, account string, read func(context.Context, string) (V, time.Duration, error)) (V, error) {
	if known, ok := r.cache.GetIfPresent(account); ok && time.Now().Before(known.until) {
		return known.value, nil
	}
	found, err, _ := r.loads.Do(account, func() (any, error) {
		value, stands, err := read(context.WithoutCancel(ctx), account)
		if err == nil {
			r.cache.Set(account, reading[V]{value, time.Now().Add(stands)})
		}
		return value, err
	})
	value, _ := found.(V)
	return value, err
}
