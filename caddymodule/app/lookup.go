package app

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mana.how/edge/caddymodule/services"
)

// startWait is how long a request waits for the app to have started.
const startWait = 4 * time.Second

// Source has what requests work with; an [App] is one.
type Source interface {
	// Runtime waits for the runtime as long as ctx lives.
	Runtime(ctx context.Context) (*services.Runtime, error)
	// Settled reports whether Runtime returns the same from now on.
	Settled() bool
}

// Lookup finds what a directive needs of the runtime. It waits for the app to
// start, the first time only, and remembers what it has found once that stays
// the same.
type Lookup[T any] struct {
	source Source
	wait   time.Duration
	derive func(*services.Runtime) T
	found  atomic.Pointer[T]
}

// NewLookup derives T from the runtime of source. A request waits for it as long
// as a client would, four seconds, or the given time where that is not zero.
func NewLookup[T any](source Source, wait time.Duration, derive func(*services.Runtime) T) *Lookup[T] {
	if wait == 0 {
		wait = startWait
	}
	return &Lookup[T]{source: source, wait: wait, derive: derive}
}

// ErrNotReady means that the app has not started in time, or could not.
var ErrNotReady = errors.New("the mana app is not ready")

// Get returns what was derived. It fails with [ErrNotReady].
func (l *Lookup[T]) Get(ctx context.Context) (T, error) {
	if found := l.found.Load(); found != nil {
		return *found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.wait)
	defer cancel()
	settled := l.source.Settled()
	rt, err := l.source.Runtime(ctx)
	if err != nil {
		var none T
		return none, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	found := l.derive(rt)
	if settled {
		l.found.Store(&found)
	}
	return found, nil
}
