package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/request"
)

func init() {
	caddy.RegisterModule(new(API))
	guardDirective("mana_api", parseAPI)
}

// API answers the JSON API, the JWKS, the health probes and the hosted pages.
// It ends the chain: what it does not know is answered with 404. It may stand
// on any site; links lead to the app's `base_url`.
type API struct {
	Scope

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults Faults `json:"faults,omitempty"`

	app     *App
	handler http.Handler
}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mana_api",
		New: func() caddy.Module { return new(API) },
	}
}

// Provision finds the app and builds the route table. It connects to nothing:
// the live runtime is looked up for each request.
func (h *API) Provision(ctx caddy.Context) error {
	app, err := provisionSite(ctx, h)
	if err != nil {
		return err
	}
	if err := h.provision(ctx, app); err != nil {
		return err
	}
	h.app = app
	settings := app.Settings()
	h.handler, err = api.New(
		api.Config{
			BaseURL: settings.BaseURL, Origins: settings.Origins, Version: moduleVersion(),
			ServiceKey: settings.ServiceKey.Reveal(), RegistrationClosed: settings.RegistrationClosed,
		},
		api.Deps{
			Auth: func(ctx context.Context) (*authcore.Service, error) {
				rt, err := runtimeOf(ctx, app)
				if err != nil {
					return nil, err
				}
				return rt.Auth, nil
			},
			Credits: func(ctx context.Context) (*api.Credits, error) {
				rt, err := runtimeOf(ctx, app)
				if err != nil {
					return nil, err
				}
				return &api.Credits{Ledger: rt.Credits, Gifts: rt.Gifts, Billing: rt.Billing}, nil
			},
			Limits: func(ctx context.Context) (limiter.Store, error) {
				rt, err := app.Runtime(ctx)
				if err != nil {
					return nil, err
				}
				return rt.Limits, nil
			},
			Database: func(ctx context.Context) error {
				rt, err := app.Runtime(ctx)
				if err != nil {
					return err
				}
				return rt.Ready(ctx)
			},
			Redis:    redisProbe(app),
			SameSite: func(r *http.Request) error { return request.SameSite(r, settings.Origins) },
			ClientIP: request.ClientIP,
			Logger:   ctx.Slogger(),
			Metrics:  collectors.api(),
		})
	return err
}

// Validate reports every fault of the configuration.
func (h *API) Validate() error { return h.Faults.err() }

// runtimeOf waits for the app as long as a client would.
func runtimeOf(ctx context.Context, app *App) (*Runtime, error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	return app.Runtime(ctx)
}

// redisProbe is nil where no Redis is configured.
func redisProbe(app *App) func(context.Context) error {
	if !app.Settings().redis.IsSet() {
		return nil
	}
	return func(ctx context.Context) error {
		rt, err := app.Runtime(ctx)
		if err != nil {
			return err
		}
		return rt.Redis.Ping(ctx).Err()
	}
}

// moduleVersion is this module's version in the build, empty where unknown.
func moduleVersion() string {
	const path = "mana.how/edge"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == path {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return ""
}

// ServeHTTP answers the request. It calls no next handler.
func (h *API) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	entered, r, err := h.enter(w, r)
	if err != nil {
		return refuseUnfit(w, r, err)
	}
	w = entered.w
	if ours, err := h.concerns(r); err != nil {
		return err
	} else if !ours {
		return entered.pass(r, entered.before(next))
	}
	if entered.early && !guard.IsSafe(r) {
		return refuseUnfit(w, r, guard.ErrTooEarly)
	}
	defer h.app.enter()()
	// A gate before us on the same site has taken the edge's cookies away.
	if own := request.Cookies(r); len(own) > 0 {
		r.Header["Cookie"] = own
	}
	h.handler.ServeHTTP(w, r)
	return nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	mana_api
func (h *API) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &blockParser{Dispenser: d, block: "mana_api"}
	if args := d.RemainingArgs(); len(args) > 0 {
		p.faultf("mana_api: takes no argument but a matcher, here are %q", args)
	}
	p.noBlock("mana_api")
	return errors.Join(p.faults...)
}

func parseAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(API)
	handler.Faults = directiveFaults(h, handler.UnmarshalCaddyfile(h.Dispenser), handler)
	return handler, nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*API)(nil)
	_ caddy.Validator             = (*API)(nil)
	_ caddyhttp.MiddlewareHandler = (*API)(nil)
	_ caddyfile.Unmarshaler       = (*API)(nil)
)
