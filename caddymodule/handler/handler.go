package handler

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/caddymodule/syntax"
)

func init() {
	caddy.RegisterModule(new(API))
	site.RegisterDirective("mana_api", parseAPI)
}

// API answers the JSON API, the JWKS, the health probes and the hosted pages.
// It ends the chain: what it does not know is answered with 404. It may stand
// on any site; links lead to the app's `base_url`.
type API struct {
	site.Scope

	// Who may read the metrics of Caddy's registry at `/metrics` of this site, where
	// it is set: addresses, networks, `private_ranges`, service keys by name, or
	// `service_key` for each that may `metrics:read`. Empty is `service_key`.
	Metrics *[]string `json:"metrics,omitempty"`

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults syntax.Faults `json:"faults,omitempty"`

	app     *app.App
	handler http.Handler
	scrape  *scrape // nil where the site shows no metrics
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
	mana, err := app.ProvisionSite(ctx, h)
	if err != nil {
		return err
	}
	if err := h.ProvisionScope(ctx, mana); err != nil {
		return err
	}
	h.app = mana
	settings := mana.Settings()
	if h.Metrics != nil {
		if h.scrape, err = newScrape(*h.Metrics, settings.ServiceKeys(), ctx.GetMetricsRegistry()); err != nil {
			return err
		}
	}
	plain, err := pages.New()
	if err != nil {
		return err
	}
	runtime := app.NewLookup(mana, 0, func(rt *services.Runtime) *services.Runtime { return rt })
	h.handler, err = api.New(
		api.Config{
			Config: endpoint.Config{
				BaseURL: settings.BaseURL, Origins: settings.Origins, ServiceKeys: settings.ServiceKeys(),
				ProofOfWork: settings.ProofOfWork,
			},
			Version: metrics.Version(), RegistrationClosed: settings.Registration == config.RegistrationClosed,
			InvitationRequired: settings.Registration == config.RegistrationByInvitation, Admins: settings.Admins, Limits: settings.Limits,
		},
		api.Deps{
			Deps: endpoint.Deps{
				Auth: func(ctx context.Context) (*authcore.Service, error) {
					rt, err := runtime.Get(ctx)
					if err != nil {
						return nil, err
					}
					return rt.Auth, nil
				},
				Limits: func(ctx context.Context) (limiter.Store, error) {
					rt, err := mana.Runtime(ctx)
					if err != nil {
						return nil, err
					}
					return rt.Limits, nil
				},
				SameSite: func(r *http.Request) error { return request.SameSite(r, settings.Origins) },
				ClientIP: request.ClientIP,
				Pages:    plain.With(settings.Brand),
				Logger:   ctx.Slogger(),
				Metrics:  metrics.Process.API(),
			},
			Credits: func(ctx context.Context) (*api.Credits, error) {
				rt, err := runtime.Get(ctx)
				if err != nil {
					return nil, err
				}
				return &api.Credits{Ledger: rt.Credits, Proof: rt.Proof, Gifts: rt.Gifts, Coupons: rt.Coupons, Abuse: rt.Abuse, Billing: rt.Billing, Apps: rt.Apps, Pictures: rt.Pictures, Outbox: rt.Mail.Outbox(), Webhooks: rt.Webhooks, Grant: rt.Grant, Forgive: rt.Forgive, Publish: rt.PublishPrices, Withdraw: rt.WithdrawPrices}, nil
			},
			Database: func(ctx context.Context) error {
				rt, err := mana.Runtime(ctx)
				if err != nil {
					return err
				}
				return rt.Ready(ctx)
			},
			Redis: redisProbe(mana),
			Pace:  metrics.Process.Recent,
			// What the desk publishes must have what the routes of this config name.
			ReadPrices: config.ReadPrices, PricesNamed: mana.PricesNamed,
		})
	return err
}

// Validate reports every fault of the configuration.
func (h *API) Validate() error { return h.Faults.Err() }

// redisProbe is nil where no Redis is configured.
func redisProbe(mana *app.App) func(context.Context) error {
	if !mana.Settings().Redis.IsSet() {
		return nil
	}
	return func(ctx context.Context) error {
		rt, err := mana.Runtime(ctx)
		if err != nil {
			return err
		}
		return rt.Redis.Ping(ctx).Err()
	}
}

// ServeHTTP answers the request. It calls no next handler.
func (h *API) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	entered, r, err := h.Enter(w, r)
	if err != nil {
		return site.Refuse(w, r, err)
	}
	w = entered.W
	if ours, err := h.Concerns(r); err != nil {
		return err
	} else if !ours {
		return entered.Pass(r, entered.Before(next))
	}
	if entered.Early && !guard.IsSafe(r) {
		return site.Refuse(w, r, guard.ErrTooEarly)
	}
	if h.scrape != nil && r.URL.Path == metricsPath {
		return h.scrape.serve(w, r)
	}
	defer h.app.Enter()()
	// A gate before us on the same site has taken the edge's cookies away.
	if own := request.Cookies(r); len(own) > 0 {
		r.Header["Cookie"] = own
	}
	h.handler.ServeHTTP(w, r)
	return nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	mana_api {
//		metrics [<address|network|private_ranges|service_key|<name of a service key>>...]
//	}
func (h *API) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &syntax.BlockParser{Dispenser: d, Block: "mana_api"}
	if args := d.RemainingArgs(); len(args) > 0 {
		p.Faultf("mana_api: takes no argument but a matcher, here are %q", args)
	}
	p.Directives(map[string]func(){"metrics": func() {
		readers := append([]string{}, d.RemainingArgs()...)
		h.Metrics = &readers
		if slices.ContainsFunc(readers, syntax.Blank) {
			p.Faultf("mana_api: metrics: one of its arguments is empty")
		}
		p.NoBlock("metrics")
	}})
	return errors.Join(p.Faults...)
}

func parseAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(API)
	handler.Faults = syntax.DirectiveFaults(h, handler.UnmarshalCaddyfile(h.Dispenser), handler)
	return handler, nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*API)(nil)
	_ caddy.Validator             = (*API)(nil)
	_ caddyhttp.MiddlewareHandler = (*API)(nil)
	_ caddyfile.Unmarshaler       = (*API)(nil)
)
