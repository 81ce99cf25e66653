package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/syntax"
)

// start is how far an app has come: its own runtime is there, or on its way.
// Until it is there, requests may be served by the runtime of the config before.
type start struct {
	decided chan struct{} // closed when requests need not wait to know
	own     atomic.Pointer[services.Runtime]

	mu      sync.Mutex
	opening *services.Opening
	lent    *services.Opening // of the config before
	failure error             // why there is no runtime
}

var (
	errNotProvisioned = errors.New("the mana app is not provisioned")
	errStopped        = errors.New("the mana app was stopped before it started")
	errWaiting        = errors.New("the mana app waits for its database")
)

// ReloadTimeout is how long a reload waits for another database before it is
// refused.
var ReloadTimeout = 10 * time.Second

// Start takes the runtime of these settings, or makes it. An error refuses the
// config; nothing is left behind then.
//
// A database that is not there yet is no error: it is waited for, and requests
// are answered with 503 meanwhile. In a reload nothing that serves is lost by
// that: with the same database, the runtime of the config before serves until
// the new one is open; a reload that names another database is refused if that
// one cannot be reached within ten seconds.
func (a *App) Start() error {
	if a.decided == nil {
		return errNotProvisioned
	}
	for _, sites := range a.servers {
		for _, name := range sites.siteNames() {
			metrics.Process.BeginSite(name)
		}
	}
	before := a.borrow()
	o, err := services.Acquire(a.settings)
	if err != nil {
		return a.fail(err)
	}
	a.mu.Lock()
	a.opening = o
	a.mu.Unlock()
	<-o.Tried
	_, failure := o.State()
	if failure != nil && services.MendsByWaiting(failure) && before != nil && !before.Settings.SameDatabase(a.settings) {
		select {
		case <-o.Open:
			failure = nil
		case <-time.After(ReloadTimeout):
			return a.fail(fmt.Errorf("%w; the config that serves goes on, load this one again when its database is there", failure))
		}
	}
	switch {
	case failure == nil:
		rt, _ := o.State()
		if err := a.checkPrices(rt.Credits); err != nil {
			return a.fail(err)
		}
		a.settle(o)
	case !services.MendsByWaiting(failure):
		return a.fail(failure)
	default:
		a.wait(o, failure)
	}
	return nil
}

// borrow lets the runtime of the running config serve this one's requests until
// its own is open. It returns nil where there is none.
func (a *App) borrow() *services.Opening {
	module, err := caddy.ActiveContext().AppIfConfigured(syntax.AppName)
	if err != nil {
		return nil
	}
	running, ok := module.(*App)
	if !ok || running == a || !running.Settled() {
		return nil
	}
	lent := services.Share(running.settings)
	if lent == nil {
		return nil
	}
	a.mu.Lock()
	a.lent = lent
	a.mu.Unlock()
	a.decide()
	return lent
}

// decide lets requests that wait for Start go on, once.
func (a *App) decide() {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.decided:
	default:
		close(a.decided)
	}
}

// settle makes the open runtime the app's, and gives back what was lent. Where
// the app was stopped in between there is nothing to do.
func (a *App) settle(o *services.Opening) {
	a.mu.Lock()
	if a.opening != o {
		a.mu.Unlock()
		return
	}
	rt, _ := o.State()
	a.own.Store(rt)
	lent := a.lent
	a.lent = nil
	a.mu.Unlock()
	a.decide()
	if lent != nil {
		services.Release(lent)
	}
}

// wait lets requests be refused, or served by what was lent, until the runtime
// is open.
func (a *App) wait(o *services.Opening, failure error) {
	a.mu.Lock()
	a.failure = fmt.Errorf("%w: %w", errWaiting, failure)
	a.mu.Unlock()
	a.decide()
	go func() {
		select {
		case <-o.Open:
			a.settle(o)
		case <-o.Done:
		}
	}()
}

// fail gives back what Start took, and returns why.
func (a *App) fail(failure error) error {
	a.giveBack(failure)
	return failure
}

func (a *App) giveBack(failure error) {
	a.mu.Lock()
	held := [...]*services.Opening{a.opening, a.lent}
	a.opening, a.lent, a.failure = nil, nil, failure
	a.mu.Unlock()
	a.decide()
	for _, o := range held {
		if o != nil {
			services.Release(o)
		}
	}
}

// Stop has nothing to do: requests that began under this config may still run.
// Cleanup, which follows, gives the runtime back.
func (a *App) Stop() error { return nil }

// Cleanup gives back what Start took. It also runs where Provision failed or
// Start was never called, and then there is nothing to give.
func (a *App) Cleanup() error {
	if a.decided != nil {
		a.giveBack(errStopped)
	}
	return nil
}

// Runtime returns what requests work with. It waits for Start, as long as ctx
// lives, because a site may serve before this app has started; it does not wait
// for the database. A request that outlives its config gets the runtime too,
// which stays open for it.
func (a *App) Runtime(ctx context.Context) (*services.Runtime, error) {
	if rt := a.own.Load(); rt != nil {
		rt.HandOut()
		return rt, nil
	}
	if a.decided == nil {
		return nil, errNotProvisioned
	}
	select {
	case <-a.decided:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the mana app: %w", ctx.Err())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	rt := a.own.Load()
	if rt == nil && a.lent != nil {
		rt, _ = a.lent.State()
	}
	if rt == nil {
		return nil, a.failure
	}
	rt.HandOut()
	return rt, nil
}

// Settled reports whether the app has its own runtime, which it then keeps.
func (a *App) Settled() bool { return a.own.Load() != nil }

// Enter keeps the runtime open for a request, from its first line until leave,
// however slowly its body comes in.
func (a *App) Enter() (leave func()) {
	select {
	case <-a.decided:
		if rt, err := a.Runtime(context.Background()); err == nil {
			return rt.Enter()
		}
	default: // the request will wait for Start, and ask for the runtime then
	}
	return func() {}
}
