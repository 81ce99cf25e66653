package metrics_test

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// Each config has a registry of its own; the counters are those of the process.
func TestMetricsOutliveReloads(t *testing.T) {
	t.Parallel()
	registered := func() map[string]float64 {
		t.Helper()
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		defer cancel()
		for range 2 {
			app := &app.App{Config: edgetest.External()}
			if err := app.Provision(ctx); err != nil {
				t.Fatal(err)
			}
		}
		families, err := ctx.GetMetricsRegistry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := make(map[string]float64)
		for _, family := range families {
			values[family.GetName()] = family.GetMetric()[0].GetCounter().GetValue()
		}
		return values
	}
	metrics.Process.API().Request("GET", "/auth/login", 200, time.Second)
	first := registered()
	metrics.Process.API().Request("GET", "/auth/login", 200, time.Second)
	second := registered()
	for _, name := range []string{
		"http_request_duration_seconds", "auth_users_total", "auth_users_verified", "auth_users_created_today",
		"auth_users_created_this_week", "auth_users_created_this_month", "auth_process_resident_memory_bytes",
		"mana_revocation_lag_seconds", "mana_password_hash_wait_seconds", "mana_database_connections",
		"mana_credit_debit_seconds", "mana_credit_batch_size", "mana_credit_holds_open", "mana_credit_holds_leaked",
	} {
		if _, ok := second[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if got := second["http_requests_total"] - first["http_requests_total"]; got != 1 {
		t.Errorf("http_requests_total went up by %v", got)
	}
}

func TestUserGauges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	for _, email := range []string{"a@example.com", "b@example.com"} {
		if _, err := edgetest.Operate(t, "", "user", "create", "--email", email, "--config", file); err != nil {
			t.Fatal(err)
		}
	}
	m := metrics.New()
	err := m.CountUsersOnce(t.Context(), db.Pool)
	total, verified, today := gauge(t, m, "auth_users_total"), gauge(t, m, "auth_users_verified"), gauge(t, m, "auth_users_created_today")
	if err != nil {
		t.Fatal(err)
	}
	if total != 2 || verified != 2 || today != 2 {
		t.Errorf("total %v, verified %v, today %v", total, verified, today)
	}
}

// gauge reads a gauge of the set by its name.
func gauge(t testing.TB, m *metrics.Set, name string) float64 {
	t.Helper()
	value, ok := sample(t, m, name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return value
}

// sample is the value of a gauge, if it has one.
func sample(t testing.TB, m *metrics.Set, name string) (value float64, ok bool) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := m.RegisterAt(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue(), true
		}
	}
	return 0, false
}
