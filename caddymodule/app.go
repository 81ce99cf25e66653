package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(App))
}

const (
	appName = "mana"

	// startLimit bounds a start. It is generous because migrations are in it.
	startLimit = 5 * time.Minute
)

// App is the part of Mana Edge that all sites of a process share: where the
// state lives and what the tokens say. Sites use it through the handlers
// mana_api, mana_auth, mana_credits and mana_rate_limit.
//
// All settings have defaults but base_url, and most can come from the
// environment under the names of the replaced service.
type App struct {
	Config

	settings Settings

	// faulty tells, while the config is provisioned, that it will be refused,
	// and sites are the faults of its handlers.
	faulty bool
	sites  error

	mu      sync.Mutex
	started chan struct{} // closed when Start has come to an end
	runtime *Runtime
	failure error
}

var (
	errNotProvisioned = errors.New("the mana app is not provisioned")
	errStopped        = errors.New("the mana app was stopped before it started")
)

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  appName,
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves the settings and reports every fault in them and in the
// handlers of the sites. It connects to nothing, so `validate` works on a
// machine without the database.
func (a *App) Provision(ctx caddy.Context) error {
	settings, err := a.resolve(processEnvironment)
	if err != nil {
		return errors.Join(err, a.faultsOfSites(ctx))
	}
	a.settings = settings
	a.started = make(chan struct{})
	return collectors.registerAt(ctx.GetMetricsRegistry())
}

// Start takes the runtime of these settings, or makes it. An error refuses the
// config; nothing is left behind then.
func (a *App) Start() error {
	if a.started == nil {
		return errNotProvisioned
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	runtime, err := shared.acquire(ctx, a.settings)
	a.finish(runtime, err)
	return err
}

// finish records how Start ended, once.
func (a *App) finish(runtime *Runtime, failure error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.started:
	default:
		a.runtime, a.failure = runtime, failure
		close(a.started)
	}
}

// Stop has nothing to do: requests that began under this config may still run.
// Cleanup, which follows, gives the runtime back.
func (a *App) Stop() error { return nil }

// Cleanup gives back what Start took. It also runs where Provision failed or
// Start was never called, and then there is nothing to give.
func (a *App) Cleanup() error {
	if a.started == nil {
		return nil
	}
	a.finish(nil, errStopped)
	a.mu.Lock()
	runtime := a.runtime
	released := a.failure != nil
	a.failure = errStopped
	a.mu.Unlock()
	if runtime == nil || released {
		return nil
	}
	return shared.release(runtime)
}

// Runtime returns what requests work with. It waits for Start, as long as ctx
// lives, because a site may serve before this app has started. A request that
// outlives its config gets the runtime too, which stays open for it.
func (a *App) Runtime(ctx context.Context) (*Runtime, error) {
	if a.started == nil {
		return nil, errNotProvisioned
	}
	select {
	case <-a.started:
	default:
		select {
		case <-a.started:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the mana app: %w", ctx.Err())
		}
	}
	if a.runtime == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		return nil, a.failure
	}
	a.runtime.handOut()
	return a.runtime, nil
}

// enter keeps the runtime open for a request, from its first line until leave,
// however slowly its body comes in.
func (a *App) enter() (leave func()) {
	select {
	case <-a.started:
		if a.runtime != nil {
			return a.runtime.enter()
		}
	default: // the request will wait for Start, and ask for the runtime then
	}
	return func() {}
}

// Settings returns the resolved configuration, once the app is provisioned.
func (a *App) Settings() Settings { return a.settings }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
