package meter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// distant is a ledger that reaches its database by a relay; p reaches it
// without.
func distant(t testing.TB, p *purse) (*purse, *pgtest.Relay) {
	t.Helper()
	c, dsn := pgtest.NewRelay(t, p.db.DSN)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	far := creditcore.New(creditcore.Config{SettlementRetry: 20 * time.Millisecond}, creditcore.Deps{Pool: pool})
	run(t, far)
	return &purse{far, t, p.db}, c
}

// The database is cut off before the request: a route refuses or lets pass, as
// it was told, and charges again when the database is back.
func TestMeterOutageBeforeTheRequest(t *testing.T) {
	t.Parallel()
	for _, costFrom := range []string{"", "X-Cost"} {
		p := newPurse(t)
		far, relay := distant(t, p)
		ada := p.user("ada", 80_000)
		logs, seen := observer.New(zap.WarnLevel)
		refusing := far.meter(&meter.Meter{Credits: "5", CostFrom: costFrom})
		allowing := far.loudMeter(&meter.Meter{Credits: "5", CostFrom: costFrom, OnOutage: "allow", App: "chat"}, zap.New(logs))
		request := func() *http.Request { return by(ada, edgetest.Ask("POST", "/")) }
		wantBill(t, edgetest.Send(t, refusing, request(), edgetest.Answers(200, "X-Cost", "5")).Header(), "5", "75")

		relay.Cut(true)
		began := time.Now()
		x := edgetest.Send(t, refusing, request(), edgetest.Answers(200))
		edgetest.WantRefusal(t, x.ResponseRecorder, nil, 503, "Service unavailable: database connection unavailable")
		if x.Reached > 0 || x.Header().Get("Retry-After") == "" || time.Since(began) > 5*time.Second {
			t.Errorf("reached %d, Retry-After %q, after %v", x.Reached, x.Header().Get("Retry-After"), time.Since(began))
		}
		if got := x.Placeholders(); got != "unavailable 0 -" {
			t.Errorf("placeholders %q", got)
		}
		x = edgetest.Send(t, allowing, request(), edgetest.Answers(200))
		if x.Code != 200 || x.Reached != 1 || x.Placeholders() != "unpaid 0 -" {
			t.Errorf("%d, reached %d, placeholders %q", x.Code, x.Reached, x.Placeholders())
		}
		wantBill(t, x.Header(), "0", "")
		if entry := seen.FilterMessageSnippet("unpaid").All(); len(entry) != 1 || entry[0].ContextMap()["user"] != ada {
			t.Errorf("log %v", seen.All())
		}
		p.wantAvailable(ada, 75_000)

		relay.Cut(false)
		edgetest.Eventually(t, "charges go on", func() bool {
			return edgetest.Send(t, refusing, request(), edgetest.Answers(200, "X-Cost", "5")).Code == 200
		})
		p.wantAvailable(ada, 70_000)
		wantBill(t, edgetest.Send(t, allowing, request(), edgetest.Answers(200, "X-Cost", "5")).Header(), "5", "65")
	}
}

// The database is cut off while the upstream works: its response reaches the
// client, and what it cost, or the refund, is booked when the database is back.
func TestMeterOutageDuringTheRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		costFrom string
		status   int
		cost     string
		left     creditcore.Amount
	}{
		"settled late":       {"X-Cost", 200, "2", 6000},
		"refunded late":      {"", 500, "0", 8000},
		"charged beforehand": {"", 200, "5", 3000},
	} {
		p := newPurse(t)
		far, relay := distant(t, p)
		ada := p.user("ada", 8000)
		began := time.Now()
		x := edgetest.Send(t, far.meter(&meter.Meter{Credits: "5", CostFrom: c.costFrom}), by(ada, edgetest.Ask("POST", "/")), func(w http.ResponseWriter, r *http.Request) error {
			relay.Cut(true)
			return edgetest.Answers(c.status, "X-Cost", "2")(w, r)
		})
		if got := x.Header().Get("Mana-Credits-Cost"); x.Code != c.status || got != c.cost || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %d, cost %q after %v", name, x.Code, got, time.Since(began))
		}
		// A runtime with the like does not go, though no request needs it any more.
		if waits := far.Owes(); waits != (c.cost != "5") {
			t.Errorf("%s: waits %v", name, waits)
		}
		relay.Cut(false)
		edgetest.Eventually(t, name, func() bool {
			b, err := p.BalanceOf(t.Context(), ada)
			return err == nil && b.Available == c.left && b.Held == 0
		})
		edgetest.Eventually(t, name+": nothing waits", func() bool { return !far.Owes() })
	}
}

// An error that nobody knew of, while the upstream works, gives nothing away:
// what the request cost is said, and charged when it can be.
func TestMeterSettlesAfterAnyError(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, key := range []string{"", "k"} {
		ada := p.user("ada"+key, 8000)
		r := by(ada, edgetest.Ask("POST", "/"))
		if key != "" {
			r = keyed(ada, key, "POST", "/", "x")
		}
		m := p.meter(&meter.Meter{Credits: "5", CostFrom: "X-Cost"})
		x := edgetest.Send(t, m, r, func(w http.ResponseWriter, r *http.Request) error {
			p.asOwner(`REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA credits FROM mana_system`)
			return edgetest.Answers(200, "X-Cost", "2")(w, r)
		})
		p.asOwner(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA credits TO mana_system`)
		if got := x.Header().Get("Mana-Credits-Cost"); x.Code != 200 || got != "2" || x.Placeholders() != "charged 2 6" {
			t.Errorf("%d, cost %q, placeholders %q", x.Code, got, x.Placeholders())
		}
		edgetest.Eventually(t, "the charge", func() bool {
			b, err := p.BalanceOf(t.Context(), ada)
			return err == nil && b.Available == 6000 && b.Held == 0
		})
	}
}

// asOwner runs a statement as the owner of the schema.
func (p *purse) asOwner(sql string) {
	p.t.Helper()
	err := pgx.BeginFunc(p.t.Context(), p.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(p.t.Context(), `SET LOCAL ROLE mana_owner`); err != nil {
			return err
		}
		_, err := tx.Exec(p.t.Context(), sql)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}
