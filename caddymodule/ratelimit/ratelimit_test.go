package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/ratelimit"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func rateLimit(s *authcore.Service, store limiter.Store, l *ratelimit.RateLimit) *ratelimit.RateLimit {
	if l.Window == 0 {
		l.Limit, l.Window = 2, caddy.Duration(time.Minute)
	}
	return bindLimit(l, func() {}, s, store)
}

// from is a request of that address.
func from(addr string, headers ...string) *http.Request {
	r := edgetest.Ask("GET", "/x?token=secret", headers...)
	r.RemoteAddr = addr
	return r
}

func TestRateLimitAnswers(t *testing.T) {
	t.Parallel()
	l := rateLimit(nil, memory.NewStore(), &ratelimit.RateLimit{})
	for i, remaining := range []string{"1", "0"} {
		w, up := edgetest.Serve(t, l, from("192.0.2.1:1"))
		h := w.Header()
		if up == nil || h.Get("X-RateLimit-Limit") != "2" || h.Get("X-RateLimit-Remaining") != remaining {
			t.Errorf("request %d: %d %v", i, w.Code, h)
		}
		if reset, err := strconv.Atoi(h.Get("X-RateLimit-Reset")); err != nil || reset < 1 || reset > 60 {
			t.Errorf("X-RateLimit-Reset %q is not seconds", h.Get("X-RateLimit-Reset"))
		}
	}
	w, up := edgetest.Serve(t, l, from("192.0.2.1:2"))
	edgetest.WantRefusal(t, w, up, 429, "Request failed: rate limit exceeded, please try again later")
	if after, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || after < 1 || after > 60 {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
	// §14.3: words that would sign the user out on a refused refresh.
	body := regexp.MustCompile(`"timestamp":"[^"]*"`).ReplaceAllString(w.Body.String(), "")
	for _, word := range []string{"401", "403", "unauthorized", "forbidden", "invalid token", "token expired", "jwt"} {
		if strings.Contains(strings.ToLower(body), word) {
			t.Errorf("%q in %s", word, w.Body)
		}
	}
	if _, up = edgetest.Serve(t, l, from("192.0.2.2:1")); up == nil {
		t.Error("another address is refused")
	}
}

// caddy-security#266: the address is not what anyone writes into a header.
func TestRateLimitClientAddress(t *testing.T) {
	t.Parallel()
	l := rateLimit(nil, memory.NewStore(), &ratelimit.RateLimit{Key: "ip"})
	for i := range 3 {
		n := strconv.Itoa(i)
		_, up := edgetest.Serve(t, l, from("192.0.2.1:"+n, "X-Forwarded-For: 198.51.100."+n, "X-Real-IP: 198.51.100."+n, "Forwarded: for=198.51.100."+n))
		if passed := up != nil; passed != (i < 2) {
			t.Errorf("request %d: passed %v", i, passed)
		}
	}
	// One /64 is one client, another is another; a mapped IPv4 address is IPv4.
	for _, c := range []struct {
		addr string
		pass bool
	}{
		{"[2001:db8:1:2::1]:1", true}, {"[2001:db8:1:2:ffff::9]:1", true}, {"[2001:db8:1:2:3:4:5:6]:1", false},
		{"[2001:db8:1:3::1]:1", true},
		{"[::ffff:192.0.2.1]:9", false},
		{"[fe80::1%eth0]:1", true}, {"[fe80::1%eth1]:1", true}, {"[fe80::1%eth2]:1", false},
	} {
		if _, up := edgetest.Serve(t, l, from(c.addr)); (up != nil) != c.pass {
			t.Errorf("%s: passed %v", c.addr, up != nil)
		}
	}
}

func TestRateLimitByUser(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	bob := edgetest.NewPerson(t, s, "bob@example.test", "user")
	l := rateLimit(s, memory.NewStore(), &ratelimit.RateLimit{Key: "user"})
	steps := []struct {
		addr, header string
		pass         bool
	}{
		{"192.0.2.1:1", "Authorization: Bearer " + ada.Tokens.AccessToken, true},
		{"192.0.2.2:1", "Cookie: " + ada.Cookie, true},
		{"192.0.2.3:1", "Authorization: Bearer " + ada.Tokens.AccessToken, false},
		{"192.0.2.1:1", "Authorization: Bearer " + bob.Tokens.AccessToken, true},
		// What does not verify is a guest, counted by address.
		{"192.0.2.1:1", "Authorization: Bearer a.b.c", true},
		{"192.0.2.1:1", "Cookie: __Secure-mana.session_token=x.y", true},
		{"192.0.2.1:1", "Authorization: Bearer d.e.f", false},
		{"192.0.2.1:1", "X-Mana-User-Id: somebody", false},
		{"192.0.2.4:1", "X-Mana-User-Id: " + ada.User.ID, true},
	}
	for i, step := range steps {
		if _, up := edgetest.Serve(t, l, from(step.addr, step.header)); (up != nil) != step.pass {
			t.Errorf("step %d: passed %v", i, up != nil)
		}
	}
}

// A browser app on another trusted origin must be able to read the refusal.
func TestRateLimitRefusalIsReadableAcrossOrigins(t *testing.T) {
	t.Parallel()
	l := rateLimit(edgetest.GateService(t, pgtest.New(t)), memory.NewStore(), &ratelimit.RateLimit{Limit: 1, Window: caddy.Duration(time.Minute)})
	edgetest.Serve(t, l, from("192.0.2.1:1"))
	for origin, want := range map[string]string{"https://todo.example.test": "https://todo.example.test", "https://evil.test": ""} {
		w, _ := edgetest.Serve(t, l, from("192.0.2.1:1", "Origin: "+origin))
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != 429 || got != want {
			t.Errorf("%s: %d, may be read by %q", origin, w.Code, got)
		}
	}
}

// Limit and gate wait for the same answer of a database that gives none.
func TestRateLimitByUserInAnOutage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ada := edgetest.NewPerson(t, edgetest.GateService(t, db), "ada@example.test", "user")
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := edgetest.GateService(t, &pgtest.Database{DSN: dsn, Pool: pool})
	l, g := rateLimit(s, memory.NewStore(), &ratelimit.RateLimit{Key: "user"}), edgetest.Gate(s, &gate.Gate{})
	relay.Mute(true)
	began := time.Now()
	x := edgetest.Send(t, l, from("192.0.2.1:1", "Cookie: "+ada.Cookie), func(w http.ResponseWriter, r *http.Request) error {
		return g.ServeHTTP(w, r, edgetest.Answers(200))
	})
	if waited := time.Since(began); x.Code != 503 || waited > 5*time.Second {
		t.Errorf("%d after %v", x.Code, waited)
	}
	if x.Header().Get("X-RateLimit-Remaining") != "1" {
		t.Error("the request is not counted")
	}
	relay.Mute(false)
}

func TestRateLimitByHeader(t *testing.T) {
	t.Parallel()
	store := &spyStore{Store: memory.NewStore()}
	l := rateLimit(nil, store, &ratelimit.RateLimit{Key: "header", Header: "x-tenant"})
	long := strings.Repeat("secret", 1000)
	for i, want := range []bool{true, true, false} {
		if _, up := edgetest.Serve(t, l, from("192.0.2."+strconv.Itoa(i)+":1", "X-Tenant: "+long)); (up != nil) != want {
			t.Errorf("request %d: passed %v", i, up != nil)
		}
	}
	if _, up := edgetest.Serve(t, l, from("192.0.2.9:1", "X-Tenant: other")); up == nil {
		t.Error("another value is refused")
	}
	for _, key := range store.keys {
		if len(key) > 100 || strings.Contains(key, "secret") {
			t.Errorf("key %q", key)
		}
	}
	for i, want := range []bool{true, true, false} {
		if _, up := edgetest.Serve(t, l, from("192.0.2.7:1")); (up != nil) != want {
			t.Errorf("without the header, request %d: passed %v", i, up != nil)
		}
	}
}

// Nobody can mint counters with keys that are not verified.
func TestRateLimitByUnverifiedAPIKey(t *testing.T) {
	t.Parallel()
	l := rateLimit(edgetest.GateService(t, pgtest.New(t)), memory.NewStore(), &ratelimit.RateLimit{Key: "api_key"})
	for i, want := range []bool{true, true, false} {
		if _, up := edgetest.Serve(t, l, from("192.0.2.1:1", "X-Api-Key: sk_live_"+strconv.Itoa(i))); (up != nil) != want {
			t.Errorf("request %d: passed %v", i, up != nil)
		}
	}
}

func TestRateLimitZones(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	one := rateLimit(nil, store, &ratelimit.RateLimit{Zone: "1"})
	again := rateLimit(nil, store, &ratelimit.RateLimit{Zone: "1"}) // the same after a reload
	two := rateLimit(nil, store, &ratelimit.RateLimit{Zone: "2"})
	for i, step := range []struct {
		l    *ratelimit.RateLimit
		pass bool
	}{{one, true}, {again, true}, {one, false}, {again, false}, {two, true}} {
		if _, up := edgetest.Serve(t, step.l, from("192.0.2.1:1")); (up != nil) != step.pass {
			t.Errorf("step %d: passed %v", i, up != nil)
		}
	}
}

func TestRateLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	l := rateLimit(nil, memory.NewStore(), &ratelimit.RateLimit{Limit: 50, Window: caddy.Duration(time.Minute)})
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if _, up := edgetest.Serve(t, l, from("192.0.2.1:1")); up != nil {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 50 {
		t.Errorf("%d passed, want 50", passed.Load())
	}
}

func TestRateLimitFailsOpen(t *testing.T) {
	t.Parallel()
	var failed atomic.Int64
	store := &spyStore{Store: memory.NewStore(), err: errors.New("away")}
	l := bindLimit(&ratelimit.RateLimit{Limit: 1, Window: caddy.Duration(time.Minute)}, func() { failed.Add(1) }, nil, store)
	for range 3 {
		w, up := edgetest.Serve(t, l, from("192.0.2.1:1"))
		if up == nil || w.Header().Get("X-RateLimit-Limit") != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
	if failed.Load() != 3 {
		t.Errorf("%d counted as failed, want 3", failed.Load())
	}
	if len(store.keys) != 1 {
		t.Errorf("the failing counters were asked %d times", len(store.keys))
	}
	store.err = nil
	l.Rested()
	for i, want := range []bool{true, false} {
		if _, up := edgetest.Serve(t, l, from("192.0.2.1:1")); (up != nil) != want {
			t.Errorf("after the outage, request %d: passed %v", i, up != nil)
		}
	}
}

func TestRateLimitFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	err := (&ratelimit.RateLimit{Limit: -1, Window: caddy.Duration(time.Millisecond), Key: "colour", Header: "x"}).Validate()
	for _, want := range []string{"limit: -1", "window: 1ms", `key: "colour"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	for _, l := range []*ratelimit.RateLimit{{Key: "header"}, {Key: "header", Header: "a b"}, {Key: "ip", Header: "X"}} {
		l.Limit, l.Window = 1, caddy.Duration(time.Second)
		if l.Validate() == nil {
			t.Errorf("%s %q is no fault", l.Key, l.Header)
		}
	}
}

func BenchmarkRateLimit(b *testing.B) {
	l := rateLimit(nil, memory.NewStore(), &ratelimit.RateLimit{Limit: 1 << 40, Window: caddy.Duration(time.Minute)})
	edgetest.BenchmarkHandler(b, l, func() *http.Request { return httptest.NewRequest("GET", edgetest.GateApp+"/", nil) })
}

// spyStore records the keys and fails where told to.
type spyStore struct {
	limiter.Store
	keys []string
	err  error
}

func (s *spyStore) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	s.keys = append(s.keys, key)
	if s.err != nil {
		return limiter.Context{}, s.err
	}
	return s.Store.Get(ctx, key, rate)
}

// bindLimit readies a limit without a config. failed is called for each request
// that passes uncounted.
func bindLimit(l *ratelimit.RateLimit, failed func(), auth *authcore.Service, store limiter.Store) *ratelimit.RateLimit {
	l.Log = zap.NewNop()
	if auth != nil {
		l.Origins = auth.Origins()
	}
	l.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) {
		return &services.Runtime{Cores: services.Cores{Auth: auth}, Limits: store}, nil
	}))
	l.CountFailures(failed)
	return l
}
