package api_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/endpoint"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	want := map[string]int64{
		"POST /api/v1/auth/register": 5, "POST /api/v1/auth/login": 10, "POST /api/v1/auth/refresh": 100,
		"POST /api/v1/auth/change-password": 5, "DELETE /api/v1/auth/account": 3, "GET /api/v1/auth/session": 100,
		"POST /api/v1/auth/validate": 10_000, "GET /api/v1/auth/jwks": 10_000, "GET /health": 10_000,
		"GET /api/auth/get-session": 100, "POST /api/auth/sign-in/email": 3,
	}
	for _, row := range api.Table() {
		// Only identity is limited; back ends use the rest with a token
		// or a key, and Stripe with a signature, all from few addresses.
		unlimited := row.Raw || !strings.Contains(row.Path, "auth") && (row.Bearer || row.Service)
		if n, ok := want[row.Method+" "+row.Path]; ok && n != row.Limit || row.Limit == 0 && !unlimited {
			t.Errorf("%s %s: limit %d, want %d", row.Method, row.Path, row.Limit, n)
		}
	}
}

// An admin's limits stand in place of those of the routes: of every door of one
// purpose, or of one route.
func TestLimitsOfTheAdmin(t *testing.T) {
	t.Parallel()
	set := func(limits map[string]endpoint.Limit) *site {
		return newSite(t, withLimits(memory.NewStore()), func(c *api.Config, _ *api.Deps) { c.Limits = limits })
	}
	s := set(map[string]endpoint.Limit{"login": endpoint.PerMinute(2), "signInBrowser": endpoint.PerMinute(4), "register": {}, "validateToken": endpoint.PerMinute(1)})
	for i, tries := range map[string]int{"/api/v1/auth/login": 2, "/api/auth/sign-in/email": 4, "/api/v1/auth/validate": 1} {
		for range tries {
			if got := s.send("POST", i, "{}"); got.code == 429 {
				t.Errorf("%s: %d before its limit of %d", i, got.code, tries)
			}
		}
		s.send("POST", i, "{}").status(429)
	}
	for range 2 {
		if got := s.send("POST", "/login", ""); got.header.Get("X-RateLimit-Limit") != "2" {
			t.Errorf("the form: limit %q", got.header.Get("X-RateLimit-Limit"))
		}
	}
	s.send("POST", "/login", "").status(429)
	for range 20 {
		if got := s.send("POST", "/api/v1/auth/register", "{}").status(400); got.header.Get("X-RateLimit-Limit") != "" {
			t.Error("a limit that is off is told")
		}
	}

	_, err := api.New(api.Config{Config: endpoint.Config{BaseURL: new(url.URL)}, Limits: map[string]endpoint.Limit{"logins": endpoint.PerMinute(1)}},
		api.Deps{Credits: func(context.Context) (*api.Credits, error) { return nil, errors.New("none") }})
	if err == nil || !strings.Contains(err.Error(), `limits: "logins" is neither the operation id of a route (see /api-docs) nor one of forgot_password, login,`) {
		t.Error(err)
	}
}

// Every member of a group of limits is a route that has one of its own.
func TestLimitGroups(t *testing.T) {
	t.Parallel()
	limited := make(map[string]bool)
	for _, row := range api.Table() {
		limited[row.Method+" "+row.Path] = row.Limit > 0
	}
	for name, members := range api.LimitGroups {
		for _, member := range members {
			if !limited[member] {
				t.Errorf("%s: %s is not a route with a limit", name, member)
			}
		}
	}
}

func TestLimitPerAddressAndRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(memory.NewStore()))
	from := func(ip string) header { return with("Test-Client", ip) }
	for i := range 10 {
		got := s.send("POST", "/api/v1/auth/login", "{}", from("192.0.2.1")).status(400)
		if got.header.Get("X-RateLimit-Limit") != "10" || got.header.Get("X-RateLimit-Remaining") != string(rune('9'-i)) ||
			got.header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("try %d: %v", i, got.header)
		}
	}
	got := s.send("POST", "/api/v1/auth/login", "{}", from("192.0.2.1")).status(429)
	if !strings.Contains(got.text("message"), "rate limit") || !strings.HasPrefix(got.text("message"), "ThrottlerException: Too Many Requests") ||
		got.header.Get("Retry-After") == "" || got.header.Get("Retry-After") == "0" {
		t.Errorf("refusal %s %v", got.body, got.header)
	}
	s.send("POST", "/api/v1/auth/login", "{}", from("::ffff:192.0.2.1")).status(429)
	s.send("POST", "/api/v1/auth/login", "{}", from("192.0.2.2")).status(400)
	s.send("POST", "/api/v1/auth/register", "{}", from("192.0.2.1")).status(400)

	for range 3 {
		s.send("POST", "/api/auth/sign-in/email", "{}", from("2001:db8::1")).status(400)
	}
	got = s.send("POST", "/api/auth/sign-in/email", "{}", from("2001:db8::ffff:1")).status(429)
	if !strings.Contains(got.text("message"), "rate limit") || got.header.Get("X-Retry-After") == "" || got.object()["statusCode"] != nil {
		t.Errorf("Better Auth refusal %s %v", got.body, got.header)
	}
	s.send("POST", "/api/auth/sign-in/email", "{}", from("2001:db8:0:1::1")).status(400)

	for range 100 {
		s.send("POST", "/api/v1/auth/refresh", "{}", from("192.0.2.1"))
	}
	text := s.send("POST", "/api/v1/auth/refresh", "{}", from("192.0.2.1")).status(429).text("message")
	if !strings.Contains(text, "rate limit") || !strings.Contains(text, "request failed") {
		t.Errorf("refresh: %q", text)
	}
	for range 10 {
		s.send("POST", "/login", "", asForm, from("192.0.2.1"), with("Origin", base)).status(400)
	}
	if got := s.send("POST", "/login", "", asForm, from("192.0.2.1"), with("Origin", base)).status(429); !strings.Contains(got.body, "Too many requests") {
		t.Errorf("page: %s", got.body)
	}
}

func TestLimitsThatAreAwayLetPass(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		d.Limits = func(context.Context) (limiter.Store, error) { return nil, errors.New("away") }
	})
	s.send("GET", "/health", nil).status(200)
}

func TestLockoutAnswers429(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	try := func(path, secret string) answer {
		return s.send("POST", path, map[string]any{"email": "ada@example.test", "password": secret})
	}
	for range 10 {
		try("/api/v1/auth/login", "wrong").status(401)
	}
	for _, path := range []string{"/api/v1/auth/login", "/api/auth/sign-in/email"} {
		got := try(path, testPassword).status(429)
		if !strings.Contains(got.text("message"), "rate limit") || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %v", path, got.body, got.header)
		}
	}
	page := s.send("POST", "/login", "email=ada%40example.test&password=x", asForm, with("Origin", base)).status(429)
	if !strings.Contains(page.body, "Too many failed sign-ins") || page.header.Get("Retry-After") == "" {
		t.Errorf("page: %s", page.body)
	}
}
