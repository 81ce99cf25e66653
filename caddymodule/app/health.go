package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/syntax"
)

func init() {
	caddy.RegisterModule(adminHealth{})
}

// HealthPath is where the admin endpoint says how the edge fares: 200 as long
// as it serves, and with the query "ready" only while it is ready.
const HealthPath = "/mana/health"

// readyWait bounds the questions of one answer.
const readyWait = 3 * time.Second

// adminHealth answers for the app of the config that runs now: the router of
// the admin endpoint may outlive its own.
type adminHealth struct{}

// CaddyModule returns the Caddy module information.
func (adminHealth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mana_health",
		New: func() caddy.Module { return adminHealth{} },
	}
}

// Routes implements [caddy.AdminRouter].
func (adminHealth) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: HealthPath, Handler: caddy.AdminHandlerFunc(serveHealth)}}
}

func serveHealth(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("only GET")}
	}
	if err := healthOf(r.Context(), r.URL.Query().Has("ready")); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{"status": "ok"})
}

var errNoApp = errors.New("no config with the app mana runs")

func healthOf(ctx context.Context, ready bool) error {
	module, err := caddy.ActiveContext().AppIfConfigured(syntax.AppName)
	if err != nil {
		return errNoApp
	}
	app, ok := module.(*App)
	if !ok {
		return errNoApp
	}
	if !ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	rt, err := app.Runtime(ctx)
	if err != nil {
		return err
	}
	return rt.Ready(ctx)
}

// Interface guards
var _ caddy.AdminRouter = adminHealth{}
