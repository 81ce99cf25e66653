package edge_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
)

// measured is a metric: what docs/metrics.md says of it, or what it is.
type measured struct{ kind, labels string }

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\w+) \\|([^|]*)\\| ([^|]+) \\| ([^|\n]+) \\|$")
	metricDesc = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]+)".*variableLabels: \{([^}]*)\}\}$`)
)

// docs/metrics.md has every metric of ours, with its type and its labels, and none that is not there.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := make(map[string]measured)
	for _, row := range metricRow.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		if _, twice := documented[row[1]]; twice {
			t.Errorf("docs/metrics.md has %s twice", row[1])
		}
		documented[row[1]] = measured{row[2], strings.ReplaceAll(strings.ReplaceAll(row[3], "`", ""), " ", "")}
	}
	registered := registeredMetrics(t)
	for name, want := range registered {
		got, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("docs/metrics.md lacks %s", name)
		case got.kind != want.kind && want.kind != "": // "" has no sample without a database
			t.Errorf("docs/metrics.md calls %s a %s, it is a %s", name, got.kind, want.kind)
		case got.labels != want.labels:
			t.Errorf("docs/metrics.md: %s has the labels %q, documented are %q", name, want.labels, got.labels)
		}
	}
	for name := range documented {
		if _, ok := registered[name]; !ok {
			t.Errorf("docs/metrics.md has %s, which nothing measures", name)
		}
	}
}

// registeredMetrics are those of the process. A metric that has no sample yet gets one.
func registeredMetrics(t *testing.T) map[string]measured {
	t.Helper()
	m := metrics.Process
	m.API().Request("GET", "/health", 200, time.Millisecond)
	m.ObserveDelivery("mail", "verify", "sent", time.Millisecond)
	m.BillingObserver().Drift("missing", 0)
	m.LedgerObserver().Grant("admin", creditcore.Credits(1))
	m.BeginSite("chat.mana.how")
	metrics.BeginApp("chat")
	registry := prometheus.NewRegistry()
	if err := m.RegisterAt(registry); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]measured)
	descs := make(chan *prometheus.Desc, 1024)
	registry.Describe(descs)
	close(descs)
	for desc := range descs {
		parts := metricDesc.FindStringSubmatch(desc.String())
		if parts == nil {
			t.Fatalf("a metric without a name or help: %s", desc)
		}
		found[parts[1]] = measured{labels: parts[3]}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	needDatabase := []string{"mana_signing_key_age_seconds", "mana_credit_root_age_seconds", "mana_database_up", "mana_listen_up", "mana_redis_up", "mana_schema_version"}
	for _, family := range families {
		metric := found[family.GetName()]
		metric.kind = strings.ToLower(family.GetType().String())
		found[family.GetName()] = metric
	}
	for name, metric := range found {
		if metric.kind == "" && !slices.Contains(needDatabase, name) {
			t.Errorf("%s has no sample, so nobody knows its type", name)
		}
	}
	return found
}
