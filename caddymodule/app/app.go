package app

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/syntax"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is the part of Mana Edge that all sites of a process share: where the
// state lives and what the tokens say. Sites use it through the handlers
// mana_api, mana_auth, mana_credits and mana_rate_limit.
//
// All settings have defaults but base_url, and most can come from the
// environment under the names of the replaced service.
type App struct {
	config.Config

	settings config.Settings

	// faulty reports, while the config is provisioned, that it will be refused,
	// and sites are the faults of its handlers.
	faulty bool
	sites  syntax.ErrorList

	start // what Start began

	// priced are the prices that routes name, known once the handlers are provisioned.
	priced map[string]bool

	// servers are the sites of each, known once a handler is provisioned.
	servers map[*caddyhttp.Server]*ServerSites
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  syntax.AppName,
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves the settings and reports every fault in them and in the
// handlers of the sites. It connects to nothing, so `validate` works on a
// machine without the database.
func (a *App) Provision(ctx caddy.Context) error {
	if err := metrics.Process.RegisterAt(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	settings, err := a.Resolve(config.ProcessEnvironment)
	if err != nil {
		return syntax.AppErrors(err).With(a.faultsOfSites(ctx)...)
	}
	a.settings = settings
	a.decided = make(chan struct{})
	return nil
}

// Settings returns the resolved configuration, once the app is provisioned.
func (a *App) Settings() config.Settings { return a.settings }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
