package api

import (
	"context"
	"net/http"
	"time"
)

var started = time.Now()

// probeWait bounds one check of the readiness probe.
const probeWait = 2 * time.Second

type health struct {
	Status    string  `json:"status"`
	Timestamp instant `json:"timestamp"`
	Uptime    int64   `json:"uptime"`
}

// healthy answers as long as the process serves at all.
func healthy(_ context.Context, c *call, _ none) (health, error) {
	return c.api.health("ok"), nil
}

func (a *api) health(status string) health {
	return health{Status: status, Timestamp: instant(a.Now()), Uptime: int64(time.Since(started).Seconds())}
}

type liveness struct {
	Status string `json:"status"`
}

func live(context.Context, *call, none) (liveness, error) { return liveness{"ok"}, nil }

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
func ready(ctx context.Context, c *call, _ none) (readiness, error) {
	redis := make(chan checkResult, 1)
	go func() { redis <- c.api.probe(ctx, "redis", c.api.Redis) }()
	database := c.api.probe(ctx, "database", c.api.Database)
	r := readiness{health: c.api.health("ok"), Checks: readinessChecks{Database: database, Redis: <-redis}}
	if database.Status != "ok" {
		r.Status = "error"
	}
	return r, nil
}

func (r readiness) answer(a *api, w http.ResponseWriter, req *http.Request) {
	status := http.StatusOK
	if r.Status != "ok" {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	a.writeJSON(w, req, status, r)
}

func (a *api) probe(ctx context.Context, name string, ask func(context.Context) error) checkResult {
	if ask == nil {
		return checkResult{Status: "not_configured"}
	}
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	began := time.Now()
	if err := ask(ctx); err != nil {
		a.Logger.WarnContext(ctx, "not ready", "check", name, "error", err)
		return checkResult{Status: "error", Error: name + " does not answer"}
	}
	latency := time.Since(began).Milliseconds()
	return checkResult{Status: "ok", Latency: &latency}
}
