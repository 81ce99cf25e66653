package services

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/logging"
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

	// lingerInterval is how often it is asked whether it is still in use.
	lingerInterval = time.Second
)

// shared holds the runtimes of this process.
var shared = newRuntimes()

func init() {
	caddy.OnExit(func(context.Context) { shared.closeLingering() })
}

// runtimes shares a runtime among the configs with equal settings, and keeps
// one that was let go until its last request is over.
type runtimes struct {
	pool *caddy.UsagePool // settingsKey → pooledOpening

	// waited is how often callers waited for a connection of pools that are
	// closed.
	waited atomic.Int64
	// pending counts the runtimes whose database is not there yet.
	pending atomic.Int64

	mu        sync.Mutex
	times     lingerTimes
	open      map[*Runtime]struct{}      // lingering ones included
	lingering map[*Runtime]chan struct{} // closed to end the wait
}

// lingerTimes are how long a runtime that no config uses any more stays open, at
// least and at most, and how often it is asked whether it is still in use.
type lingerTimes struct{ least, most, interval time.Duration }

func newRuntimes() *runtimes {
	return &runtimes{
		pool:      caddy.NewUsagePool(),
		times:     lingerTimes{latestRequest, longestRequest, lingerInterval},
		open:      make(map[*Runtime]struct{}),
		lingering: make(map[*Runtime]chan struct{}),
	}
}

// pooledOpening is how the pool ends a runtime, or the wait for it: the pool
// calls Destruct when the last config that used it is gone.
type pooledOpening struct {
	*Opening
	owner *runtimes
}

// Destruct implements [caddy.Destructor].
func (p pooledOpening) Destruct() error {
	if rt := p.end(); rt != nil {
		p.owner.retire(rt)
	} else {
		p.owner.pending.Add(-1)
	}
	return nil
}

// acquire returns the runtime of the settings on its way. It does not wait: the
// pool, which every config needs, is never held for a database.
func (rs *runtimes) acquire(s config.Settings) (*Opening, error) {
	value, _, err := rs.pool.LoadOrNew(s.Key(), func() (caddy.Destructor, error) {
		rs.pending.Add(1)
		return pooledOpening{beginOpening(s, logging.Live(), rs.add), rs}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(pooledOpening).Opening, nil
}

var errNotShared = errors.New("no config uses these settings")

// share is acquire for what is open already; it returns nil where nothing is.
func (rs *runtimes) share(s config.Settings) *Opening {
	value, _, err := rs.pool.LoadOrNew(s.Key(), func() (caddy.Destructor, error) { return nil, errNotShared })
	if err != nil {
		return nil
	}
	o := value.(pooledOpening).Opening
	if rt, _ := o.State(); rt == nil {
		rs.release(o)
		return nil
	}
	return o
}

func (rs *runtimes) release(o *Opening) {
	// Destruct, which may be called here, does not fail.
	_, _ = rs.pool.Delete(o.Settings.Key())
}

func (rs *runtimes) add(rt *Runtime) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.open[rt] = struct{}{}
	rs.pending.Add(-1)
}

func (rs *runtimes) close(rt *Runtime) {
	rs.mu.Lock()
	delete(rs.open, rt)
	delete(rs.lingering, rt)
	rs.mu.Unlock()
	rt.close()
	if rt.Pool != nil {
		rs.waited.Add(rt.Pool.Stat().EmptyAcquireCount())
	}
}

// retire closes a runtime: at once where no request can hold it or the process
// exits, else when its last request is over.
func (rs *runtimes) retire(rt *Runtime) {
	if caddy.Exiting() || !rt.handedOut.Load() {
		rs.close(rt)
		return
	}
	stop := make(chan struct{})
	rs.mu.Lock()
	rs.lingering[rt] = stop
	times := rs.times
	rs.mu.Unlock()
	go rs.linger(rt, times, stop)
}

// linger closes a runtime once nobody uses it any more. Until then it keeps no
// connection to the database that is idle, but the one that listens: after some
// reloads with other settings the idle ones would be all that the server has.
func (rs *runtimes) linger(rt *Runtime, times lingerTimes, stop <-chan struct{}) {
	began := time.Now()
	tick := time.NewTicker(times.interval)
	defer tick.Stop()
	for waited := time.Duration(0); waited < times.most && (waited < times.least || rt.inUse()); waited = time.Since(began) {
		rt.Pool.Reset()
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
	rs.close(rt)
}

// closeLingering closes what waits for its last request. The process exits.
func (rs *runtimes) closeLingering() {
	rs.mu.Lock()
	waiting := rs.lingering
	rs.lingering = make(map[*Runtime]chan struct{})
	rs.mu.Unlock()
	for rt, stop := range waiting {
		close(stop)
		rs.close(rt)
	}
}

// Acquire returns the runtime of the settings on its way. It does not wait: the
// pool, which every config needs, is never held for a database. Whoever has it
// gives it back with [Release].
func Acquire(s config.Settings) (*Opening, error) { return shared.acquire(s) }

// Share is Acquire for what is open already; it returns nil where nothing is.
func Share(s config.Settings) *Opening { return shared.share(s) }

// Release gives back what Acquire or Share returned.
func Release(o *Opening) { shared.release(o) }

// EachRuntime calls f for every runtime of this process that is open, lingering
// ones included. What is on its way is not waited for.
func EachRuntime(f func(*Runtime)) { shared.each(f) }

// CloseLingering closes at once what waits for its last request, as the end of
// the process does, for a program that stops Caddy and then ends on its own.
func CloseLingering() { shared.closeLingering() }

// SetLinger changes how long runtimes that no config uses any more stay open, at
// least and at most, for tests that cannot wait for it.
func SetLinger(least, most time.Duration) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.times = lingerTimes{least, most, 10 * time.Millisecond}
}

// current lists the runtimes that a config uses.
func (rs *runtimes) current() []*Runtime {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var used []*Runtime
	for rt := range rs.open {
		if _, left := rs.lingering[rt]; !left {
			used = append(used, rt)
		}
	}
	return used
}

// each calls f for every runtime that is open. What is on its way is not waited
// for.
func (rs *runtimes) each(f func(*Runtime)) {
	rs.mu.Lock()
	open := slices.Collect(maps.Keys(rs.open))
	rs.mu.Unlock()
	for _, rt := range open {
		f(rt)
	}
}
