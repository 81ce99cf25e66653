package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

const deployed = "../../deploy"

// A real Prometheus scrapes a running edge by what deploy/ has: every query of
// the rules and dashboards is understood and asks for what is measured; while
// all is well no alert fires, and each fault raises its own.
func TestPrometheusWatchesAnEdge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	redis := startRedis(t)
	e := newEdge(t)
	e.use(dsn)
	scraped := freeport.Port(t)
	e.Options = fmt.Sprintf("redis redis://127.0.0.1:%d", redis.port)
	e.Metrics = scraped
	e.start(t)
	p := startPrometheus(t, scraped)

	// Something of everything that is drawn.
	register(t, e, "grace@mana.how", "192.0.2.60")
	access, refresh := login(t, e, "grace@mana.how", "192.0.2.60")
	for range 3 {
		want(t, send(t, e.client(), http.MethodGet, e.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access), http.StatusOK)
	}
	p.await(t, "recording rules have values", func() bool {
		return len(p.query(t, "mana:http_duration_seconds:p99_5m")) > 0 && len(p.query(t, "mana:token_cache_hits:ratio5m")) > 0
	})

	t.Run("queries", func(t *testing.T) { p.wantQueriesToFit(t) })

	t.Run("quiet", func(t *testing.T) {
		for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(500 * time.Millisecond) {
			if raised := p.alerts(t); len(raised) > 0 {
				t.Fatalf("alerts while all is well: %v", raised)
			}
		}
	})
	fault := func(alert string, others ...string) {
		t.Helper()
		p.await(t, alert+" fires", func() bool { return slices.Contains(p.alerts(t), alert) })
		for _, raised := range p.alerts(t) {
			if raised != alert && !slices.Contains(others, raised) {
				t.Errorf("beside %s, %s fires", alert, raised)
			}
		}
	}
	refreshed := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusOK).Text("refreshToken")
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refreshed}), http.StatusOK)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusUnauthorized)
	fault("ManaRefreshTokenStolen")

	redis.stop()
	fault("ManaRedisAway", "ManaRefreshTokenStolen")
	relay.Cut(true)
	fault("ManaDatabaseAway", "ManaRedisAway", "ManaRefreshTokenStolen", "ManaServerErrors")
	relay.Cut(false)
	p.await(t, "ManaDatabaseAway ends", func() bool { return !slices.Contains(p.alerts(t), "ManaDatabaseAway") })
	e.stop(t)
	fault("ManaEdgeDown", "ManaRefreshTokenStolen", "ManaServerErrors")
}

// The rules pass promtool, with their unit tests; each alert has its paragraph in the documentation.
func TestRulesPassPromtool(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"promtool check config prometheus.yml",
		"promtool check rules --lint=all --lint-fatal recording.rules.yml alerts.rules.yml",
		"promtool test rules tests/alerts.test.yml",
		"amtool check-config alertmanager.yml",
	} {
		args := strings.Fields(line)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = filepath.Join(deployed, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	documentation, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, heading := range regexp.MustCompile(`(?m)^### (Mana\w+)$`).FindAllSubmatch(documentation, -1) {
		anchors[string(heading[1])] = true
	}
	for _, rule := range readRules(t, "alerts.rules.yml") {
		if !anchors[rule.Alert] {
			t.Errorf("docs/operations.md has no paragraph for %s", rule.Alert)
		}
		delete(anchors, rule.Alert)
		if want := "docs/operations.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s leads to %q, want %q", rule.Alert, rule.Annotations["runbook_url"], want)
		}
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", rule.Alert, severity)
		}
	}
	for name := range anchors {
		t.Errorf("docs/operations.md has a paragraph for %s, which is no alert", name)
	}
}

// rule is one of a file of rules.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type ruleFile struct {
	Groups []struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval,omitempty"`
		Rules    []rule `yaml:"rules"`
	} `yaml:"groups"`
}

func readYAML(t testing.TB, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployed, "prometheus", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readRules(t testing.TB, name string) []rule {
	t.Helper()
	var file ruleFile
	readYAML(t, name, &file)
	var rules []rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatalf("%s has no rules", name)
	}
	return rules
}

// prometheus is a running one.
type prometheus struct{ url string }

// startPrometheus runs Prometheus with the deployed configuration, but that it
// looks at one edge, twice a second, and that no alert is waited for.
func startPrometheus(t testing.TB, edge int) prometheus {
	t.Helper()
	dir, port := t.TempDir(), freeport.Port(t)
	write := func(name string, content any) {
		t.Helper()
		text, err := yaml.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var config map[string]any
	readYAML(t, "prometheus.yml", &config)
	config["global"] = map[string]any{"scrape_interval": "500ms", "evaluation_interval": "500ms"}
	delete(config, "alerting")
	jobs, _ := config["scrape_configs"].([]any)
	job, _ := jobs[0].(map[string]any)
	job["static_configs"] = []any{map[string]any{"targets": []string{"127.0.0.1:" + strconv.Itoa(edge)}}}
	config["scrape_configs"] = []any{job}
	write("prometheus.yml", config)
	files, _ := config["rule_files"].([]any)
	for _, file := range files {
		name, _ := file.(string)
		var rules ruleFile
		readYAML(t, name, &rules)
		for g := range rules.Groups {
			for r := range rules.Groups[g].Rules {
				rules.Groups[g].Rules[r].For = ""
			}
		}
		write(name, rules)
	}

	var log logBuffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", fmt.Sprintf("127.0.0.1:%d", port), "--log.level", "warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of Prometheus:\n%s", log.String())
		}
	})
	p := prometheus{fmt.Sprintf("http://127.0.0.1:%d", port)}
	p.await(t, "the edge is scraped", func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK && slices.ContainsFunc(p.query(t, `up == 1`), func(s sample) bool { return s.Metric["job"] == "mana-edge" })
	})
	return p
}

func (p prometheus) await(t testing.TB, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !met(); time.Sleep(250 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s; firing: %v", what, p.alerts(t))
		}
	}
}

// get asks the API of Prometheus.
func (p prometheus) get(path string, query url.Values, to any) error {
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, to)
}

type sample struct{ Metric map[string]string }

func (p prometheus) ask(query string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.get("/api/v1/query", url.Values{"query": {query}}, &data)
	return data.Result, err
}

func (p prometheus) query(t testing.TB, query string) []sample {
	t.Helper()
	samples, err := p.ask(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return samples
}

// alerts names what fires.
func (p prometheus) alerts(t testing.TB) []string {
	t.Helper()
	var data struct {
		Alerts []struct{ Labels map[string]string }
	}
	if err := p.get("/api/v1/alerts", nil, &data); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, alert := range data.Alerts {
		names[alert.Labels["alertname"]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// wantQueriesToFit holds every query of the rules and the dashboards against what is scraped.
func (p prometheus) wantQueriesToFit(t *testing.T) {
	queries := make(map[string]string) // query → where it stands
	for _, name := range []string{"recording.rules.yml", "alerts.rules.yml"} {
		for _, rule := range readRules(t, name) {
			queries[rule.Expr] = name + " " + rule.Record + rule.Alert
		}
	}
	dashboards, err := filepath.Glob(filepath.Join(deployed, "grafana/dashboards/*.json"))
	if err != nil || len(dashboards) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, name := range dashboards {
		for query, panel := range readDashboard(t, name) {
			queries[query] = filepath.Base(name) + " " + panel
		}
	}
	labels := p.labels(t)
	for query, where := range queries {
		if _, err := p.ask(query); err != nil {
			t.Errorf("%s: %s: %v", where, query, err)
			continue
		}
		expr, err := metricsql.Parse(query)
		if err != nil {
			t.Errorf("%s: %s: %v", where, query, err)
			continue
		}
		metricsql.VisitAll(expr, func(e metricsql.Expr) {
			selector, ok := e.(*metricsql.MetricExpr)
			if !ok {
				return
			}
			for _, filters := range selector.LabelFilterss {
				name := ""
				for _, filter := range filters {
					if filter.Label == "__name__" {
						name = filter.Value
					}
				}
				known, ok := labels[name]
				if !ok {
					t.Errorf("%s asks for %q, which nothing measures", where, name)
					continue
				}
				for _, filter := range filters {
					if filter.Label != "__name__" && !known[filter.Label] {
						t.Errorf("%s: %s has no label %q", where, name, filter.Label)
					}
				}
			}
		})
		metricsql.VisitAll(expr, func(e metricsql.Expr) {
			aggregate, ok := e.(*metricsql.AggrFuncExpr)
			if !ok || aggregate.Modifier.Op != "by" {
				return
			}
			for _, by := range aggregate.Modifier.Args {
				metricsql.VisitAll(aggregate, func(e metricsql.Expr) {
					if selector, ok := e.(*metricsql.MetricExpr); ok && !labels[selector.LabelFilterss[0][0].Value][by] {
						t.Errorf("%s groups %s by %q, which it has not", where, selector.LabelFilterss[0][0].Value, by)
					}
				})
			}
		})
	}
}

// labels are those of each metric that has been scraped or recorded, and those
// of ours that only a longer run has, of a document that another test holds
// against the registry.
func (p prometheus) labels(t *testing.T) map[string]map[string]bool {
	t.Helper()
	labels := make(map[string]map[string]bool)
	note := func(name string, more ...string) {
		if labels[name] == nil {
			labels[name] = make(map[string]bool)
		}
		for _, label := range more {
			labels[name][label] = true
		}
	}
	var series []map[string]string
	if err := p.get("/api/v1/series", url.Values{"match[]": {`{__name__=~".+"}`}}, &series); err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		note(s["__name__"], slices.Collect(maps.Keys(s))...)
	}
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\w+) \\|([^|]*)\\|").FindAllSubmatch(document, -1) {
		names := []string{string(row[1])}
		if string(row[2]) == "histogram" {
			names = []string{names[0] + "_bucket", names[0] + "_sum", names[0] + "_count"}
		}
		for _, name := range names {
			note(name, "instance", "job", "le")
			for label := range bytes.FieldsFuncSeq(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) }) {
				note(name, string(label))
			}
		}
	}
	// Recorded with the first value that is a number.
	for _, rule := range readRules(t, "recording.rules.yml") {
		note(rule.Record)
		if expr, err := metricsql.Parse(rule.Expr); err == nil {
			metricsql.VisitAll(expr, func(e metricsql.Expr) {
				if aggregate, ok := e.(*metricsql.AggrFuncExpr); ok {
					note(rule.Record, aggregate.Modifier.Args...)
				}
			})
		}
	}
	return labels
}

// dashboard is what of a Grafana dashboard is looked at here.
type dashboard struct {
	UID, Title string
	Panels     []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

// readDashboard returns the queries of a dashboard, with every edge selected,
// and the panels they stand in.
func readDashboard(t testing.TB, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if d.UID+".json" != filepath.Base(name) || d.Title == "" || len(d.Panels) == 0 {
		t.Errorf("%s: uid %q, title %q, %d panels", name, d.UID, d.Title, len(d.Panels))
	}
	queries := make(map[string]string)
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, panel := range d.Panels {
		if panel.Title == "" || len(panel.Targets) == 0 || ids[panel.ID] {
			t.Errorf("%s: panel %d %q has %d queries", name, panel.ID, panel.Title, len(panel.Targets))
		}
		ids[panel.ID] = true
		at := panel.GridPos
		if at.X+at.W > 24 {
			t.Errorf("%s: %q stands out of the grid", name, panel.Title)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%s: %q covers %q", name, panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		for _, target := range panel.Targets {
			queries[strings.ReplaceAll(target.Expr, "$edge", ".*")] = panel.Title
		}
	}
	return queries
}

// redisServer is a running Redis.
type redisServer struct {
	port int
	stop func()
}

func startRedis(t testing.TB) redisServer {
	t.Helper()
	port := freeport.Port(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		cancel()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	return redisServer{port, stop}
}
