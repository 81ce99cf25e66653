// Package health has the probes by which a supervisor or load balancer knows
// whether to send requests here.
package health

import (
	"context"
	"net/http"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
)

// Deps is what the probes ask.
type Deps struct {
	// Database and Redis answer without an error, or in time, where they are
	// well. A nil Redis is reported as not configured.
	Database, Redis func(context.Context) error
}

// Routes are those of the probes, each with and without the prefix of the API.
func Routes(deps Deps) []endpoint.Route {
	var table []endpoint.Route
	for _, prefix := range []string{"", "/api/v1"} {
		table = append(table,
			endpoint.Get(prefix+"/health", endpoint.Handle(healthy), endpoint.Rule{Summary: "The process serves", Limit: endpoint.BackEndLimit}),
			endpoint.Get(prefix+"/health/live", endpoint.Handle(live), endpoint.Rule{Summary: "Liveness probe", Limit: endpoint.BackEndLimit}),
			endpoint.Get(prefix+"/health/ready", endpoint.Handle(deps.ready), endpoint.Rule{Summary: "Readiness probe", Limit: endpoint.BackEndLimit, Unready: true}),
		)
	}
	return table
}

var started = time.Now()

// probeWait bounds one check of the readiness probe.
const probeWait = 2 * time.Second

type health struct {
	Status    string        `json:"status"`
	Timestamp endpoint.Time `json:"timestamp"`
	Uptime    int64         `json:"uptime"`
}

// healthy answers as long as the process serves at all.
func healthy(_ context.Context, c *endpoint.Call, _ endpoint.None) (health, error) {
	return healthOf(c, "ok"), nil
}

func healthOf(c *endpoint.Call, status string) health {
	return health{Status: status, Timestamp: endpoint.Time(c.Now()), Uptime: int64(time.Since(started).Seconds())}
}

type liveness struct {
	Status string `json:"status"`
}

func live(context.Context, *endpoint.Call, endpoint.None) (liveness, error) {
	return liveness{"ok"}, nil
}

// checkResult is ok, error or not_configured, with the latency of an answer in
// milliseconds.
type checkResult struct {
	Status  string `json:"status"`
	Latency *int64 `json:"latency,omitempty"`
	Error   string `json:"error,omitempty"`
}

type readiness struct {
	health
	Checks readinessChecks `json:"checks"`
}

type readinessChecks struct {
	Database checkResult `json:"database"`
	Redis    checkResult `json:"redis"`
}

// ready asks the database and Redis. Without the database it is 503, with the
// same body; without Redis the service goes on.
func (d Deps) ready(ctx context.Context, c *endpoint.Call, _ endpoint.None) (readiness, error) {
	redis := make(chan checkResult, 1)
	go func() { redis <- probe(ctx, c, "redis", d.Redis) }()
	database := probe(ctx, c, "database", d.Database)
	r := readiness{health: healthOf(c, "ok"), Checks: readinessChecks{Database: database, Redis: <-redis}}
	if database.Status != "ok" {
		r.Status = "error"
		c.Header.Set("Retry-After", "5")
	}
	return r, nil
}

// StatusCode implements [endpoint.Statuser].
func (r readiness) StatusCode() int {
	if r.Status != "ok" {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func probe(ctx context.Context, c *endpoint.Call, name string, ask func(context.Context) error) checkResult {
	if ask == nil {
		return checkResult{Status: "not_configured"}
	}
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	began := time.Now()
	if err := ask(ctx); err != nil {
		c.Logger().WarnContext(ctx, "not ready", "check", name, "error", err)
		return checkResult{Status: "error", Error: name + " does not answer"}
	}
	latency := time.Since(began).Milliseconds()
	return checkResult{Status: "ok", Latency: &latency}
}
