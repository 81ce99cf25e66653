package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule"
	"mana.how/edge/internal/pgtest"
)

// The gate in steady state, what Caddy itself spends on a request left out.
func BenchmarkGateBearer(b *testing.B) {
	s := gateService(b, pgtest.New(b))
	ada := newPerson(b, s, "ada@example.test", "user")
	benchmarkHandler(b, gate(s, &caddymodule.Gate{}), func() *http.Request {
		return ask("GET", "/", "Authorization: Bearer "+ada.tokens.AccessToken, "Accept: application/json", "Connection: keep-alive", "User-Agent: bench")
	})
}

func BenchmarkGateCookie(b *testing.B) {
	s := gateService(b, pgtest.New(b))
	ada := newPerson(b, s, "ada@example.test", "user")
	benchmarkHandler(b, gate(s, &caddymodule.Gate{}), func() *http.Request {
		return ask("GET", "/", "Cookie: theme=dark; "+ada.cookie, "Accept: application/json", "Connection: keep-alive", "User-Agent: bench")
	})
}

func benchmarkHandler(b *testing.B, h caddyhttp.MiddlewareHandler, request func() *http.Request) {
	b.Helper()
	passed := 0
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		passed++
		return nil
	})
	const batch = 512
	type exchange struct {
		w http.ResponseWriter
		r *http.Request
	}
	exchanges := make([]exchange, batch)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%batch == 0 {
			b.StopTimer()
			for i := range exchanges {
				w := httptest.NewRecorder()
				exchanges[i] = exchange{w, caddyhttp.PrepareRequest(request(), caddy.NewReplacer(), w, nil)}
			}
			b.StartTimer()
		}
		e := exchanges[n%batch]
		if err := h.ServeHTTP(e.w, e.r, next); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if passed != n {
		b.Fatalf("%d of %d passed", passed, n)
	}
}
