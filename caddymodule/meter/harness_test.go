package meter_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"go.uber.org/zap"

	"mana.how/edge/authcore/origin"
	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
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
	t.Cleanup(func() { edgetest.WantSound(t, p.Service) })
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
	edgetest.GrantTo(p.t, p.Service, id, credits)
	return id
}

func (p *purse) meter(m *meter.Meter) *meter.Meter { return p.loudMeter(m, zap.NewNop()) }

func (p *purse) loudMeter(m *meter.Meter, log *zap.Logger) *meter.Meter {
	p.t.Helper()
	origins, faults := origin.Parse(edgetest.GateBase, []string{"https://*.example.test"})
	if err := m.Validate(); err != nil || len(faults) > 0 {
		p.t.Fatal(err, faults)
	}
	m.BaseURL, m.Origins, m.Log = new(url.URL), origins, log
	m.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) {
		return &services.Runtime{Cores: services.Cores{Credits: p.Service}}, nil
	}))
	return m
}

func (p *purse) wantAvailable(user string, want creditcore.Amount) {
	p.t.Helper()
	edgetest.WantAvailable(p.t, p.Service, user, want)
}

// by marks the request as the gate marks a user's.
func by(user string, r *http.Request) *http.Request {
	return r.WithContext(meter.WithCaller(r.Context(), user))
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
