package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
)

// publish publishes prices, and has this edge read them.
func (p *purse) publish(list ...creditcore.Price) {
	p.t.Helper()
	last, err := p.LastPriceVersion(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	err = dbscope.InTx(p.t.Context(), p.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		_, err := p.PublishPricesTx(p.t.Context(), tx, creditcore.PriceDraft{Prices: creditcore.NewPrices(list...), Reason: "because", By: "cli:test", After: last})
		return err
	})
	if err == nil {
		err = p.LoadPrices(p.t.Context())
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func costing(name string, credits creditcore.Amount) creditcore.Price {
	return creditcore.Price{Name: name, Credits: credits, Per: 1}
}

// named is a meter with the price chat, which the config has at five credits.
func named(change func(*meter.Meter)) *meter.Meter {
	m := &meter.Meter{PriceName: "chat"}
	m.KnowPrices(creditcore.NewPrices(costing("chat", 5000), costing("out", 200)))
	change(m)
	return m
}

// noted are the prices that the rows of a user's charges name, the last first.
func (p *purse) noted(user string) (list []string) {
	p.t.Helper()
	for _, e := range edgetest.Entries(p.t, p.Service, user) {
		var m struct {
			Price        string
			Quantity     int
			PriceVersion *int
		}
		if e.Type != creditcore.Usage {
			continue
		}
		if err := json.Unmarshal(e.Metadata, &m); err != nil {
			p.t.Fatal(err)
		}
		line := fmt.Sprint(-e.Amount, " ", m.Price, " ", m.Quantity)
		if m.PriceVersion != nil {
			line += fmt.Sprint(" v", *m.PriceVersion)
		}
		list = append(list, line)
	}
	return list
}

// Whatever a route charges by a price follows the book; what runs keeps the price it began with.
func TestMeterFollowsThePriceBook(t *testing.T) {
	t.Parallel()
	const usage = `{"usage":{"prompt_tokens":0,"completion_tokens":10}}`
	for name, c := range map[string]struct {
		change   func(*meter.Meter)
		upstream caddyhttp.HandlerFunc
		costs    [3]string // by the config, and by two versions
		rows     []string
	}{
		"a fixed price": {func(*meter.Meter) {}, edgetest.Answers(200), [3]string{"5", "7", "9"}, []string{"9 chat 1 v2", "7 chat 1 v1", "7 chat 1 v1", "5 chat 1"}},
		"the most of the app's price": {func(m *meter.Meter) { m.CostFrom = "X-Cost" }, edgetest.Answers(200, "X-Cost", "6"),
			[3]string{"5", "6", "6"}, []string{"6 chat 0 v1", "6 chat 0 v2", "6 chat 0 v1", "5 chat 0"}},
		"tokens": {func(m *meter.Meter) {
			m.PriceName, m.Credits, m.CostTokens = "", "20", &meter.TokenPrices{Price: "out"}
		}, says(200, "application/json", "", usage, 0), [3]string{"2", "3", "4"}, []string{"3  0 v1", "4  0 v2", "3  0 v1", "2  0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			ada := p.user("ada", 100_000)
			m := p.meter(named(c.change))
			send := func(want string, upstream caddyhttp.HandlerFunc) {
				t.Helper()
				x := edgetest.Send(t, m, by(ada, edgetest.Ask("POST", "/")), upstream)
				if got := x.Header().Get("Mana-Credits-Cost"); x.Code != 200 || got != want {
					t.Errorf("%d, cost %q, want %q", x.Code, got, want)
				}
			}
			send(c.costs[0], c.upstream)
			p.publish(costing("chat", 7000), costing("out", 300))
			send(c.costs[1], c.upstream)
			send(c.costs[1], func(w http.ResponseWriter, r *http.Request) error {
				p.publish(costing("chat", 9000), costing("out", 400))
				send(c.costs[2], c.upstream)
				return c.upstream(w, r)
			})
			if diff := cmp.Diff(c.rows, p.noted(ada)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// subscribe has a user be subscribed to a plan.
func (p *purse) subscribe(user, plan string) {
	p.t.Helper()
	p.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING`, plan)
	p.exec(`INSERT INTO subscriptions.subscriptions (user_id, plan_id) VALUES ($1, $2)`, user, plan)
}

// Whatever a route charges by a price, subscribers pay what it costs with their plan.
func TestMeterChargesByThePlan(t *testing.T) {
	t.Parallel()
	const usage = `{"usage":{"prompt_tokens":0,"completion_tokens":10}}`
	prices := creditcore.NewPrices(
		creditcore.Price{Name: "chat", Credits: 5000, Per: 1, Plans: []creditcore.PlanPrice{{Plan: "Pro", Credits: 3000}}},
		creditcore.Price{Name: "out", Credits: 200, Per: 1, Tiers: []creditcore.Tier{{Above: 5, Credits: 100}}, Plans: []creditcore.PlanPrice{{Plan: "pro", Credits: 100, Tiers: []creditcore.Tier{{Above: 9, Credits: 1000}}}}},
	)
	for name, c := range map[string]struct {
		change   func(*meter.Meter)
		upstream caddyhttp.HandlerFunc
		all, pro string
	}{
		"a fixed price": {func(*meter.Meter) {}, edgetest.Answers(200), "5", "3"},
		"the most":      {func(m *meter.Meter) { m.CostFrom = "X-Cost" }, edgetest.Answers(200, "X-Cost", "4"), "4", "3"},
		"in memory":     {func(m *meter.Meter) { m.Durability = "batched" }, edgetest.Answers(200), "5", "3"},
		"tokens": {func(m *meter.Meter) {
			m.PriceName, m.Credits, m.CostTokens = "", "20", &meter.TokenPrices{Price: "out"}
		}, says(200, "application/json", "", usage, 0), "1.5", "1.9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			run(t, p.Service)
			ada, bob, eve := p.user("ada", 100_000), p.user("bob", 100_000), p.user("eve", 100_000)
			p.subscribe(ada, "PRO")
			p.subscribe(eve, "basic")
			m := &meter.Meter{PriceName: "chat"}
			c.change(m)
			m.KnowPrices(prices)
			m = p.meter(m)
			for range 6 {
				for user, want := range map[string]string{ada: c.pro, bob: c.all, eve: c.all} {
					x := edgetest.Send(t, m, by(user, edgetest.Ask("POST", "/")), c.upstream)
					if got := x.Header().Get("Mana-Credits-Cost"); x.Code != 200 || got != want {
						t.Errorf("%s: %d, cost %q, want %q", user, x.Code, got, want)
					}
				}
			}
			edgetest.Eventually(t, "all is written down", func() bool { return len(p.noted(ada)) == 6 || m.Durability == "batched" && len(p.noted(ada)) > 0 })
			row := edgetest.Entries(t, p.Service, ada)[0]
			if !strings.Contains(strings.ToLower(string(row.Metadata)), `"priceplan": "pro"`) {
				t.Errorf("the row says %s", row.Metadata)
			}
			if row := edgetest.Entries(t, p.Service, eve)[0]; strings.Contains(string(row.Metadata), "pricePlan") {
				t.Errorf("the row of who pays as everybody does says %s", row.Metadata)
			}
			p.publish(costing("chat", 7000), costing("out", 300))
			x := edgetest.Send(t, m, by(ada, edgetest.Ask("POST", "/")), c.upstream)
			if got := x.Header().Get("Mana-Credits-Cost"); got == c.pro && name != "the most" {
				t.Errorf("a version without plans: %d, cost %q", x.Code, got)
			}
		})
	}
}

// What is charged in memory follows the book as well.
func TestMeterLeasesFollowThePriceBook(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	run(t, p.Service)
	ada := p.user("ada", 1_000_000)
	m := p.meter(named(func(m *meter.Meter) { m.Durability = "batched" }))
	total := creditcore.Amount(0)
	for _, credits := range []creditcore.Amount{5000, 1000, 20_000} {
		if credits != 5000 {
			p.publish(costing("chat", credits))
		}
		for i := range 12 {
			x := edgetest.Send(t, m, by(ada, edgetest.Ask("GET", "/")), edgetest.Answers(200))
			if got := x.Header().Get("Mana-Credits-Cost"); got != credits.String() {
				t.Errorf("cost %s, want %s", got, credits)
			}
			if total += credits; i == 3 {
				edgetest.Eventually(t, "a lease", func() bool { return p.ahead(ada) > 0 })
			}
		}
	}
	edgetest.Eventually(t, "all is written and given back", func() bool { return !p.Owes() && p.ahead(ada) == 0 })
	p.wantAvailable(ada, 1_000_000-total)
	if rows := p.noted(ada); len(rows) != 36 || rows[0] != "20 chat 1 v2" || rows[35] != "5 chat 1" {
		t.Errorf("%d rows: %v", len(rows), rows)
	}
}

// A request that comes again under its key is charged once, at the price of the first, also
// where that still runs; the retry of one that failed is a new one.
func TestMeterKeysOutliveTheirPrices(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*meter.Meter){
		"fixed": func(*meter.Meter) {}, "cost": func(m *meter.Meter) { m.CostFrom = "X-Cost" }, "app": func(m *meter.Meter) { m.SettledBy = "app" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			ada := p.user("ada", 100_000)
			m := p.meter(named(change))
			again := func() *http.Request { return keyed(ada, "k", "POST", "/x", "{}") }
			p.publish(costing("chat", 7000))
			if x := edgetest.Send(t, m, again(), edgetest.Answers(500)); x.Code != 500 {
				t.Errorf("%d", x.Code)
			}
			p.publish(costing("chat", 6000))
			first := edgetest.Send(t, m, again(), func(w http.ResponseWriter, r *http.Request) error {
				p.publish(costing("chat", 9000))
				twin := edgetest.Send(t, m, again(), edgetest.Answers(200))
				if twin.Code != 200 || twin.Reached != 1 {
					t.Errorf("the twin: %d %s", twin.Code, twin.Body)
				}
				return edgetest.Answers(200)(w, r)
			})
			if first.Code != 200 {
				t.Errorf("the first: %d %s", first.Code, first.Body)
			}
			if last := edgetest.Send(t, m, again(), edgetest.Answers(200)); last.Code != 200 && last.Code != 409 {
				t.Errorf("the last: %d %s", last.Code, last.Body)
			}
			if name == "app" {
				return // the app charges its holds
			}
			p.wantAvailable(ada, 94_000)
			if diff := cmp.Diff([]string{"6 chat 0 v2"}, zeroed(p.noted(ada))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// zeroed leaves the quantity out, which only a fixed price has.
func zeroed(rows []string) []string {
	for i := range rows {
		rows[i] = strings.Replace(rows[i], " chat 1", " chat 0", 1)
	}
	return rows
}

// What the prices become is never more than a request may cost, nor free: numbers of the
// directive are bounded by the price.
func TestMeterNumbersUnderThePriceBook(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 100_000)
	m := p.meter(named(func(m *meter.Meter) { m.AbortCost = "4" }))
	gone := func(w http.ResponseWriter, r *http.Request) error { return caddyhttp.Error(499, r.Context().Err()) }
	leave := func() {
		r := by(ada, edgetest.Ask("GET", "/"))
		ctx, cancel := context.WithCancel(r.Context())
		edgetest.Send(t, m, r.WithContext(ctx), func(w http.ResponseWriter, r *http.Request) error {
			cancel()
			return gone(w, r)
		})
	}
	leave()
	p.publish(costing("chat", 3000))
	leave()
	if diff := cmp.Diff([]string{"3 chat 0 v1", "4 chat 0"}, p.noted(ada)); diff != "" {
		t.Error(diff)
	}
}

// A price that there is not any more is never free: its requests are answered with 503, by
// every kind of route, and the log says once which it is.
func TestMeterUnknownPrice(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*meter.Meter){
		"price":          func(m *meter.Meter) { m.PriceName = "film" },
		"allow":          func(m *meter.Meter) { m.PriceName, m.OnOutage = "film", "allow" },
		"batched":        func(m *meter.Meter) { m.PriceName, m.Durability = "film", "batched" },
		"cost_from":      func(m *meter.Meter) { m.PriceName, m.CostFrom = "film", "X-Cost" },
		"settled_by app": func(m *meter.Meter) { m.PriceName, m.SettledBy = "film", "app" },
		"tokens": func(m *meter.Meter) {
			m.PriceName, m.Credits, m.CostTokens = "", "5", &meter.TokenPrices{Price: "out", Input: "film"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			ada := p.user("ada", 100_000)
			logs, seen := observer.New(zapcore.ErrorLevel)
			m := p.loudMeter(named(change), zap.New(logs))
			ask := func(r *http.Request, code int, text string) {
				t.Helper()
				x := edgetest.Send(t, m, r, edgetest.Answers(200))
				if x.Code != code || (x.Reached == 1) != (code == 200) || !strings.Contains(x.Body.String(), text) {
					t.Errorf("%d, reached %d: %s", x.Code, x.Reached, x.Body)
				}
			}
			for range 3 {
				ask(by(ada, edgetest.Ask("POST", "/")), 503, `"code":"PRICE_UNAVAILABLE"`)
				ask(byCookie(ada, edgetest.Ask("GET", "/", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")), 503, "")
				ask(keyed(ada, "k", "POST", "/", "x"), 503, "PRICE_UNAVAILABLE")
			}
			if n := seen.FilterMessageSnippet("names a price").Len(); n != 1 || !strings.Contains(fmt.Sprint(seen.All()[0].ContextMap()), "film") {
				t.Errorf("%d lines: %v", n, seen.All())
			}
			p.publish(costing("film", 1000))
			ask(by(ada, edgetest.Ask("POST", "/")), 200, "body")
			p.publish(costing("chat", 1000))
			ask(by(ada, edgetest.Ask("POST", "/")), 503, "PRICE_UNAVAILABLE")
		})
	}
	shadow := newPurse(t)
	ada := shadow.user("ada", 100_000)
	x := edgetest.Send(t, shadow.meter(named(func(m *meter.Meter) { m.PriceName, m.Shadow = "film", true })), by(ada, edgetest.Ask("GET", "/")), edgetest.Answers(200))
	if x.Code != 200 || !strings.HasPrefix(x.Placeholders(), "shadow_unavailable 0") {
		t.Errorf("in the shadow: %d %s", x.Code, x.Placeholders())
	}
}

// An edge that runs follows the book within a second, and at its moment, without a reload. A
// route may name what only the book has; a config that names what nobody has is refused, and
// the one before serves on.
func TestEdgesFollowThePriceBook(t *testing.T) {
	l := edgetest.StartLive(t, "", `
	mana_auth
	mana_credits /chat price chat
	`, "prices {\n chat 5\n}")
	m := &metered{Live: l, ledger: edgetest.LiveRuntime(t).Credits}
	id, bearer := m.payer(t, t.Name())
	edgetest.GrantTo(t, m.ledger, id, 1_000_000)
	cost := func(path string) string {
		t.Helper()
		resp := l.Do(t, l.Request(t, "GET", path, bearer))
		return resp.Header.Get("Mana-Credits-Cost")
	}
	if got := cost("/chat"); got != "5" {
		t.Errorf("by the config: %q", got)
	}
	rt := edgetest.LiveRuntime(t)
	other := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: rt.Pool}) // another edge, whose ledger this one does not share
	publish := func(after int64, in time.Duration, list ...creditcore.Price) (v creditcore.PriceVersion) {
		t.Helper()
		err := dbscope.InTx(t.Context(), rt.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
			d := creditcore.PriceDraft{Prices: creditcore.NewPrices(list...), Reason: "because", By: "cli:test", After: after}
			if in > 0 {
				if err := tx.QueryRow(t.Context(), `SELECT clock_timestamp() + make_interval(secs => $1)`, in.Seconds()).Scan(&d.EffectiveAt); err != nil {
					return err
				}
			}
			v, err = other.PublishPricesTx(t.Context(), tx, d)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	publish(0, 0, costing("chat", 250), costing("film", 125))
	began := time.Now()
	edgetest.Eventually(t, "the new price", func() bool { return cost("/chat") == "0.25" })
	t.Log("followed within", time.Since(began))
	toCome := publish(1, 1500*time.Millisecond, costing("chat", 500), costing("film", 125))
	got, now := cost("/chat"), time.Time{}
	if err := rt.Pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	if now.Before(toCome.EffectiveAt) && got != "0.25" {
		t.Errorf("before its moment: %q", got)
	}
	edgetest.Eventually(t, "the price to come", func() bool { return cost("/chat") == "0.5" })

	routes := func(name string) []byte {
		return []byte(strings.ReplaceAll(string(l.Config), `"price":"chat"`, `"price":"`+name+`"`))
	}
	if err := caddy.Load(routes("nothing"), true); err == nil || !strings.Contains(err.Error(), `price "nothing" is neither among the prices of the mana block nor in the price book`) {
		t.Errorf("a name that nobody has: %v", err)
	}
	if got := cost("/chat"); got != "0.5" {
		t.Errorf("after a config that was refused: %q", got)
	}
	if err := caddy.Load(routes("film"), true); err != nil {
		t.Fatal(err)
	}
	if got := cost("/chat"); got != "0.125" {
		t.Errorf("by a name of the book: %q", got)
	}
}

// Prices change while requests run: each is charged what it was told, and no row names a
// version of another price.
func TestMeterWhilePricesChange(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 10_000_000)
	m := p.meter(named(func(*meter.Meter) {}))
	var told atomic.Int64
	done := make(chan struct{})
	for range 4 {
		go func() {
			for range 40 {
				x := edgetest.Send(t, m, by(ada, edgetest.Ask("GET", "/")), edgetest.Answers(200))
				told.Add(int64(amount(t, x.Header().Get("Mana-Credits-Cost"))))
			}
			done <- struct{}{}
		}()
	}
	for i := range 10 {
		p.publish(costing("chat", creditcore.Amount(1000*(i+1))))
	}
	for range 4 {
		<-done
	}
	p.wantAvailable(ada, 10_000_000-creditcore.Amount(told.Load()))
	for _, row := range p.noted(ada) {
		var cost, version int
		if n, _ := fmt.Sscanf(row, "%d chat 1 v%d", &cost, &version); row != "5 chat 1" && (n != 2 || cost != version) {
			t.Errorf("a row of %q", row)
		}
	}
}
