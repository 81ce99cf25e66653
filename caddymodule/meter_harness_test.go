package caddymodule_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// purse is a ledger on a database of its own.
type purse struct {
	*creditcore.Service
	t  testing.TB
	db *pgtest.Database
}

func newPurse(t testing.TB) *purse {
	t.Helper()
	db := pgtest.New(t)
	p := &purse{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db}
	t.Cleanup(func() { wantSound(t, p.Service) })
	return p
}

// in is the purse for a subtest.
func (p *purse) in(t testing.TB) *purse { return &purse{p.Service, t, p.db} }

// user is a user with that many credits.
func (p *purse) user(id string, credits creditcore.Amount) string {
	p.t.Helper()
	_, err := dbscope.Exec(p.t.Context(), p.db.Pool, dbscope.System(),
		`INSERT INTO auth.users (id, name, email) VALUES ($1, $1, md5($1) || '@example.com')`, id)
	if err != nil {
		p.t.Fatal(err)
	}
	grantTo(p.t, p.Service, id, credits)
	return id
}

func (p *purse) meter(m *caddymodule.Meter) *caddymodule.Meter { return p.loudMeter(m, zap.NewNop()) }

func (p *purse) loudMeter(m *caddymodule.Meter, log *zap.Logger) *caddymodule.Meter {
	p.t.Helper()
	origins, faults := authcore.ParseOrigins(gateBase, []string{"https://*.example.test"})
	if err := m.Validate(); err != nil || len(faults) > 0 {
		p.t.Fatal(err, faults)
	}
	return m.Provisioned(p.Service, origins, log)
}

func (p *purse) wantAvailable(user string, want creditcore.Amount) {
	p.t.Helper()
	wantAvailable(p.t, p.Service, user, want)
}

func grantTo(t testing.TB, ledger *creditcore.Service, user string, credits creditcore.Amount) {
	t.Helper()
	if credits == 0 {
		return
	}
	_, err := ledger.Grant(t.Context(), creditcore.Grant{UserID: user, Amount: credits, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "test", Description: "test"})
	if err != nil {
		t.Fatal(err)
	}
}

func wantAvailable(t testing.TB, ledger *creditcore.Service, user string, want creditcore.Amount) {
	t.Helper()
	b, err := ledger.BalanceOf(t.Context(), user)
	if err != nil || b.Available != want || b.Held != 0 {
		t.Errorf("available %v, held %v, %v; want %v", b.Available, b.Held, err, want)
	}
}

func wantSound(t testing.TB, ledger *creditcore.Service) {
	t.Helper()
	report, err := ledger.Audit(context.Background())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %v, %+v", err, report.Breaches)
	}
}

// entries are the rows of the user's history but for what he was granted,
// newest first.
func entries(t testing.TB, ledger *creditcore.Service, user string) (list []creditcore.Entry) {
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

// by marks the request as the gate marks a user's.
func by(user string, r *http.Request) *http.Request {
	return r.WithContext(caddymodule.WithCaller(r.Context(), user))
}

// exchange is what a request came to.
type exchange struct {
	*httptest.ResponseRecorder
	err     error
	reached int // how often the upstream was
	repl    *caddy.Replacer
}

// send sends the request through the meter to the upstream.
func send(t testing.TB, m caddyhttp.MiddlewareHandler, r *http.Request, upstream caddyhttp.HandlerFunc) *exchange {
	t.Helper()
	x := &exchange{ResponseRecorder: httptest.NewRecorder(), repl: caddy.NewReplacer()}
	r = caddyhttp.PrepareRequest(r, x.repl, x, nil)
	x.err = m.ServeHTTP(x, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		x.reached++
		return upstream(w, r)
	}))
	return x
}

// answers is an upstream that says so, with header fields as name and value.
func answers(status int, header ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, err := w.Write([]byte("body"))
		return err
	}
}

// wantBill checks what the response says of its cost; empty means that it
// says nothing.
func wantBill(t testing.TB, h http.Header, cost, remaining string) {
	t.Helper()
	if got := h.Get("Mana-Credits-Cost"); got != cost {
		t.Errorf("Mana-Credits-Cost %q, want %q", got, cost)
	}
	if got := h.Get("Mana-Credits-Remaining"); got != remaining {
		t.Errorf("Mana-Credits-Remaining %q, want %q", got, remaining)
	}
}

func (x *exchange) placeholders() string {
	return x.repl.ReplaceAll("{http.mana.credits.outcome} {http.mana.credits.cost} {http.mana.credits.remaining}", "-")
}

// run runs the jobs of a ledger until the test ends.
func run(t testing.TB, ledger *creditcore.Service) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = ledger.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}
