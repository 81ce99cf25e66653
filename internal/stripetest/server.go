package stripetest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v85"
)

// Reporter is told what Stripe could not carry out; a test is one. Fatalf must
// not return.
type Reporter interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Server is one Stripe account in test mode. It is safe for concurrent use;
// its verbs fail the test they were made for, so they belong in its goroutine.
type Server struct {
	// URL is the API's address, for BackendConfig.URL.
	URL string
	// Key is the one secret key that the API accepts.
	Key string
	// WebhookSecret signs what Payload and Deliver give.
	WebhookSecret string

	t    Reporter
	http *http.Server
	mux  *http.ServeMux

	mu      sync.Mutex
	now     time.Time
	clock   func() time.Time // nil: now stands still
	pages   string           // where the pages that Stripe hosts are; empty: at Stripe
	numbers map[string]int
	objects map[string]object
	order   []string
	// pending are proration lines that wait for the next invoice, by subscription.
	pending  map[string][]object
	events   Events
	answers  map[string]answer
	cause    cause
	requests []Request
	troubles []*trouble
	delay    time.Duration
	hook     func(Request)
	closing  chan struct{}
}

// New starts a server on a free port of 127.0.0.1. It is closed at the end of
// t.
func New(t Reporter) *Server {
	t.Helper()
	s := &Server{
		Key: "sk_test_stripetest", WebhookSecret: "whsec_stripetest",
		t: t, mux: http.NewServeMux(), now: time.Now().UTC().Truncate(time.Second),
		numbers: make(map[string]int), objects: make(map[string]object), pending: make(map[string][]object),
		answers: make(map[string]answer), closing: make(chan struct{}),
	}
	s.routes()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("stripetest: %v", err)
	}
	s.URL = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }() // until the end of t
	t.Cleanup(func() {
		close(s.closing)
		_ = s.http.Close()
	})
	return s
}

// Client is stripe-go's client of this server. It repeats no request.
func (s *Server) Client() *stripe.Client {
	return stripe.NewClient(s.Key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL:               stripe.String(s.URL),
		HTTPClient:        &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		EnableTelemetry:   stripe.Bool(false),
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
}

// Object is the present state of the object with this id as stripe-go decodes
// it, such as Object[stripe.Subscription](srv, id, "latest_invoice"). An
// unknown id fails the test.
func Object[T any](s *Server, id string, expand ...string) *T {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.objects[id]
	if !ok {
		s.t.Fatalf("stripetest: no object %q", id)
	}
	shown, refusal := s.expanded(found, expand)
	if refusal != nil {
		s.t.Fatalf("stripetest: expand %q of %s: %s", expand, id, refusal.message)
	}
	out := new(T)
	if err := json.Unmarshal(encode(shown), out); err != nil {
		s.t.Fatalf("stripetest: decode %s: %v", id, err)
	}
	return out
}

// Now is the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick()
	return s.now
}

// Advance moves the clock and expires the checkout sessions whose time has
// come. Subscriptions wait for their verbs.
func (s *Server) Advance(d time.Duration) Events {
	return s.verb(func() {
		s.now = s.now.Add(d)
		s.expireSessions()
	})
}

// verb runs a change and returns the events it made.
func (s *Server) verb(change func()) Events {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.events)
	s.tick()
	change()
	return append(Events(nil), s.events[before:]...)
}

// wait sleeps, unless the client leaves or the server closes.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}
