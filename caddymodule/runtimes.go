package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	// longestRequest is how long a runtime that no config uses any more stays
	// open at most, for requests that began under the old config. Streams that
	// last longer are ended.
	longestRequest = 10 * time.Minute

	// latestRequest is how long it stays open at least: a server that shuts
	// down still answers on connections whose request has not come in whole.
	// What comes still later is refused.
	latestRequest = 10 * time.Second

	// lingerPulse is how often it is asked whether it is still in use.
	lingerPulse = time.Second
)

// shared holds the runtimes of this process.
var shared = newRuntimes()

func init() {
	caddy.OnExit(func(context.Context) { shared.closeLingering() })
}

// runtimes shares a runtime among the configs with equal settings, and keeps
// one that was let go until its last request is over.
type runtimes struct {
	pool *caddy.UsagePool // settingsKey → pooledRuntime

	mu sync.Mutex
	patience
	lingering map[*Runtime]chan struct{} // closed to end the wait
}

// patience is how long to wait for the last request of a runtime.
type patience struct{ latest, longest, pulse time.Duration }

func newRuntimes() *runtimes {
	return &runtimes{
		pool:      caddy.NewUsagePool(),
		patience:  patience{latestRequest, longestRequest, lingerPulse},
		lingering: make(map[*Runtime]chan struct{}),
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
// exits, else when its last request is over.
func (rs *runtimes) retire(rt *Runtime) {
	if caddy.Exiting() || !rt.handedOut.Load() {
		rt.close()
		return
	}
	stop := make(chan struct{})
	rs.mu.Lock()
	rs.lingering[rt] = stop
	wait := rs.patience
	rs.mu.Unlock()
	go rs.linger(rt, wait, stop)
}

// linger closes a runtime once nobody uses it any more. Until then it keeps no
// connection to the database that is idle, but the one that listens: after some
// reloads with other settings the idle ones would be all that the server has.
func (rs *runtimes) linger(rt *Runtime, wait patience, stop <-chan struct{}) {
	began := time.Now()
	pulse := time.NewTicker(wait.pulse)
	defer pulse.Stop()
	for waited := time.Duration(0); waited < wait.longest && (waited < wait.latest || rt.inUse()); waited = time.Since(began) {
		rt.Pool.Reset()
		select {
		case <-stop:
			return
		case <-pulse.C:
		}
	}
	rs.mu.Lock()
	delete(rs.lingering, rt)
	rs.mu.Unlock()
	rt.close()
}

// closeLingering closes what waits for its last request. The process exits.
func (rs *runtimes) closeLingering() {
	rs.mu.Lock()
	waiting := rs.lingering
	rs.lingering = make(map[*Runtime]chan struct{})
	rs.mu.Unlock()
	for rt, stop := range waiting {
		close(stop)
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
