package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// longestRequest is how long a runtime that no config uses any more stays open
// for requests that began under the old config. Streams that last longer are
// ended.
const longestRequest = 10 * time.Minute

// shared holds the runtimes of this process.
var shared = newRuntimes(longestRequest)

func init() {
	caddy.OnExit(func(context.Context) { shared.closeLingering() })
}

// runtimes shares a runtime among the configs with equal settings, and keeps
// one that was let go until its last request is over.
type runtimes struct {
	pool *caddy.UsagePool // settingsKey → pooledRuntime

	mu        sync.Mutex
	grace     time.Duration
	lingering map[*Runtime]*time.Timer
}

func newRuntimes(grace time.Duration) *runtimes {
	return &runtimes{
		pool:      caddy.NewUsagePool(),
		grace:     grace,
		lingering: make(map[*Runtime]*time.Timer),
	}
}

// pooledRuntime is how the pool ends a runtime: the pool calls Destruct when
// the last config that used it is gone.
type pooledRuntime struct {
	*Runtime
	owner *runtimes
}

// Destruct implements [caddy.Destructor].
func (p pooledRuntime) Destruct() error {
	p.owner.retire(p.Runtime)
	return nil
}

func (rs *runtimes) acquire(ctx context.Context, s Settings) (*Runtime, error) {
	value, _, err := rs.pool.LoadOrNew(s.key(), func() (caddy.Destructor, error) {
		rt, err := newRuntime(ctx, s, processLogger())
		if err != nil {
			return nil, err
		}
		return pooledRuntime{rt, rs}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(pooledRuntime).Runtime, nil
}

func (rs *runtimes) release(rt *Runtime) error {
	_, err := rs.pool.Delete(rt.key)
	return err
}

// retire closes a runtime: at once where no request can hold it or the process
// exits, else when the longest request must be over.
func (rs *runtimes) retire(rt *Runtime) {
	if caddy.Exiting() || !rt.handedOut.Load() {
		rt.close()
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.lingering[rt] = time.AfterFunc(rs.grace, func() {
		rs.mu.Lock()
		delete(rs.lingering, rt)
		rs.mu.Unlock()
		rt.close()
	})
}

// closeLingering closes what waits for its last request. The process exits.
func (rs *runtimes) closeLingering() {
	rs.mu.Lock()
	waiting := rs.lingering
	rs.lingering = make(map[*Runtime]*time.Timer)
	rs.mu.Unlock()
	for rt, timer := range waiting {
		timer.Stop()
		rt.close()
	}
}

// each calls f for every runtime that is open.
func (rs *runtimes) each(f func(*Runtime)) {
	rs.pool.Range(func(_, value any) bool {
		f(value.(pooledRuntime).Runtime)
		return true
	})
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for rt := range rs.lingering {
		f(rt)
	}
}
