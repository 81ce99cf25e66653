package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is a collector of OpenTelemetry traces that keeps what it gets.
type spans struct {
	mu  sync.Mutex
	all []*trace.Span
}

// ServeHTTP takes an export by OTLP over HTTP.
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprintf("%s: %v", r.URL.Path, err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
	answer, _ := proto.Marshal(new(collector.ExportTraceServiceResponse))
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// below reports whether a span of this kind of name came of the trace that lies, at any
// depth, below another one: names begin so.
func (s *spans) below(traceID string, above, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := make(map[string]*trace.Span)
	for _, span := range s.all {
		byID[string(span.GetSpanId())] = span
	}
	for _, span := range s.all {
		if fmt.Sprintf("%x", span.GetTraceId()) != traceID || !strings.HasPrefix(span.GetName(), name) {
			continue
		}
		for parent := byID[string(span.GetParentSpanId())]; parent != nil; parent = byID[string(parent.GetParentSpanId())] {
			if strings.HasPrefix(parent.GetName(), above) {
				return true
			}
		}
	}
	return false
}

// said reports whether any span has the text in it.
func (s *spans) said(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		if strings.Contains(span.String(), text) {
			return true
		}
	}
	return false
}

// A request is one trace, from the client's own span through the gate to the
// statements it made, and holds no value of them.
func TestTraceReachesTheDatabase(t *testing.T) {
	t.Parallel()
	got := new(spans)
	collecting := httptest.NewServer(got)
	t.Cleanup(collecting.Close)
	e := newEdge(t)
	e.Env = append(e.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+collecting.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_TRACES_SAMPLER=parentbased_always_off", "OTEL_PROPAGATORS=tracecontext")
	e.writeConfig(t, "", "tracing\n\tmana_credits /paid 5")
	config, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.config, []byte(strings.Replace(string(config), "\tmana_api\n", "\ttracing\n\tmana_api\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.launch(t)
	e.awaitReady(t)
	client := e.client()
	const (
		password = "a password that is long enough"
		sampled  = "4bf92f3577b34da6a3ce929d0e0e4736"
		unseen   = "5bf92f3577b34da6a3ce929d0e0e4737"
		gated    = "6bf92f3577b34da6a3ce929d0e0e4738"
		metered  = "7bf92f3577b34da6a3ce929d0e0e4739"
	)
	want(t, send(t, client, "POST", e.Auth()+"/api/v1/auth/register", map[string]any{"email": "ada@example.test", "password": password, "name": "Ada"}), 201)
	login := func(traceID, flags string) Answer {
		t.Helper()
		return want(t, send(t, client, "POST", e.Auth()+"/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": password},
			"traceparent", "00-"+traceID+"-00f067aa0ba902b7-"+flags), 200)
	}
	login(unseen, "00")
	token := login(sampled, "01").Text("accessToken")
	// By cookie the gate asks the database, once.
	browser := e.client()
	want(t, send(t, browser, "POST", e.Auth()+"/api/auth/sign-in/email", map[string]any{"email": "ada@example.test", "password": password}, "Origin", e.Auth()), 200)
	want(t, send(t, browser, "GET", e.AppURL()+"/", nil, "traceparent", "00-"+gated+"-00f067aa0ba902b7-01"), 200)
	want(t, send(t, client, "GET", e.AppURL()+"/paid", nil, "Authorization", "Bearer "+token, "traceparent", "00-"+metered+"-00f067aa0ba902b7-01"), 402)

	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		if got.below(sampled, "POST /api/v1/auth/login", "batch") && got.below(gated, "mana_auth", "batch") && got.below(metered, "", "mana_credits") {
			break
		}
		if time.Now().After(deadline) {
			got.mu.Lock()
			t.Fatalf("the statements are not in the traces: %v", got.all)
		}
	}
	for _, secret := range []string{unseen[:8], "ada@example.test", password, token} {
		if got.said(secret) {
			t.Errorf("a span says %q", secret)
		}
	}
}
