package metrics

import "github.com/caddyserver/caddy/v2"

func init() {
	caddy.RegisterModule(adminMetrics{})
}

// adminMetrics puts the collectors into the registry of the admin endpoint.
// Caddy makes a new endpoint, with a new registry, before it looks at the rest
// of a config, and keeps it where that config is refused: an app that was never
// provisioned could not register there.
type adminMetrics struct{}

// CaddyModule returns the Caddy module information.
func (adminMetrics) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mana_metrics",
		New: func() caddy.Module { return adminMetrics{} },
	}
}

// Provision registers the Process.
func (adminMetrics) Provision(ctx caddy.Context) error {
	return Process.RegisterAt(ctx.GetMetricsRegistry())
}

// Routes adds none: the metrics stand at Caddy's own /metrics.
func (adminMetrics) Routes() []caddy.AdminRoute { return nil }

// Interface guards
var (
	_ caddy.Provisioner = adminMetrics{}
	_ caddy.AdminRouter = adminMetrics{}
)
