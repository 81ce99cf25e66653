package gate_test

import (
	"net/http"
	"testing"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// The gate in steady state, what Caddy itself spends on a request left out.
func BenchmarkGateBearer(b *testing.B) {
	s := edgetest.GateService(b, pgtest.New(b))
	ada := edgetest.NewPerson(b, s, "ada@example.test", "user")
	edgetest.BenchmarkHandler(b, edgetest.Gate(s, &gate.Gate{}), func() *http.Request {
		return edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken, "Accept: application/json", "Connection: keep-alive", "User-Agent: bench")
	})
}

func BenchmarkGateCookie(b *testing.B) {
	s := edgetest.GateService(b, pgtest.New(b))
	ada := edgetest.NewPerson(b, s, "ada@example.test", "user")
	edgetest.BenchmarkHandler(b, edgetest.Gate(s, &gate.Gate{}), func() *http.Request {
		return edgetest.Ask("GET", "/", "Cookie: theme=dark; "+ada.Cookie, "Accept: application/json", "Connection: keep-alive", "User-Agent: bench")
	})
}
