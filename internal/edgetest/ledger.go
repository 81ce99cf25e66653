package edgetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/creditcore"
)

// GrantTo gives a user credits.
func GrantTo(t testing.TB, ledger *creditcore.Service, user string, credits creditcore.Amount) {
	t.Helper()
	if credits == 0 {
		return
	}
	_, err := ledger.Grant(t.Context(), creditcore.Grant{UserID: user, Amount: credits, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "test", Description: "test"})
	if err != nil {
		t.Fatal(err)
	}
}

// WantAvailable checks what a user can spend, and that nothing is held.
func WantAvailable(t testing.TB, ledger *creditcore.Service, user string, want creditcore.Amount) {
	t.Helper()
	b, err := ledger.BalanceOf(t.Context(), user)
	if err != nil || b.Available != want || b.Held != 0 {
		t.Errorf("available %v, held %v, %v; want %v", b.Available, b.Held, err, want)
	}
}

// WantSound audits the ledger.
func WantSound(t testing.TB, ledger *creditcore.Service) {
	t.Helper()
	report, err := ledger.Audit(context.Background())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %v, %+v", err, report.Breaches)
	}
}

// Entries are the rows of the user's history but for what they were granted,
// newest first.
func Entries(t testing.TB, ledger *creditcore.Service, user string) (list []creditcore.Entry) {
	t.Helper()
	all, err := ledger.History(t.Context(), creditcore.Caller{UserID: user}, 200, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Type != creditcore.Gift {
			list = append(list, e)
		}
	}
	return list
}

// Exchange is what a request came to.
type Exchange struct {
	*httptest.ResponseRecorder
	Err     error
	Reached int // how often the upstream was
	Repl    *caddy.Replacer
}

// Send sends the request through the meter to the upstream.
func Send(t testing.TB, m caddyhttp.MiddlewareHandler, r *http.Request, upstream caddyhttp.HandlerFunc) *Exchange {
	t.Helper()
	x := &Exchange{ResponseRecorder: httptest.NewRecorder(), Repl: caddy.NewReplacer()}
	r = caddyhttp.PrepareRequest(r, x.Repl, x, nil)
	x.Err = m.ServeHTTP(x, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		x.Reached++
		return upstream(w, r)
	}))
	return x
}

// Answers is an upstream that says so, with header fields as name and value.
func Answers(status int, header ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, err := w.Write([]byte("body"))
		return err
	}
}

// Placeholders are what the meter tells by them: outcome, cost, remaining.
func (x *Exchange) Placeholders() string {
	return x.Repl.ReplaceAll("{http.mana.credits.outcome} {http.mana.credits.cost} {http.mana.credits.remaining}", "-")
}
