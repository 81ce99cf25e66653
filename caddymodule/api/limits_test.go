package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/caddymodule/api"
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
