package meter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/migrations/functions"
)

// settles is an app that was told a hold and makes something of it, then answers so.
func (p *purse) settles(does func(hold string), status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if holds := r.Header["Mana-Credits-Hold"]; len(holds) == 1 {
			does(holds[0])
		} else {
			p.t.Errorf("the app is told %q", holds)
		}
		return edgetest.Answers(status)(w, r)
	}
}

// commits charges a part of the hold, all of it where that is 0.
func (p *purse) commits(part creditcore.Amount) func(hold string) {
	return func(hold string) {
		charge := &part
		if part == 0 {
			charge = nil
		}
		if _, err := p.Commit(p.t.Context(), hold, charge, ""); err != nil {
			p.t.Errorf("commit: %v", err)
		}
	}
}

// wantLeft checks what a user can spend, beside what is reserved.
func (p *purse) wantLeft(user string, want creditcore.Amount) {
	p.t.Helper()
	if b, err := p.BalanceOf(p.t.Context(), user); err != nil || b.Available != want {
		p.t.Errorf("%s has %s, want %s, %v", user, b.Available, want, err)
	}
}

// What the app says by a call is what the request cost, whenever it says it.
func TestAppSettles(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	var told string
	later := func(hold string) { told = hold }
	cancels := func(hold string) {
		if _, err := p.Cancel(t.Context(), hold); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	for name, c := range map[string]struct {
		does                       func(string)
		status                     int
		cost, reserved, remaining  string
		outcome                    string
		left, leftOnceItHasCharged creditcore.Amount
	}{
		"a part while it works":      {p.commits(1500), 200, "1.5", "", "6.5", "charged", 6500, 6500},
		"all while it works":         {p.commits(0), 200, "5", "", "3", "charged", 3000, 3000},
		"nothing":                    {cancels, 200, "0", "", "8", "free", 8000, 8000},
		"afterwards":                 {later, 202, "", "5", "3", "reserved", 3000, 6000},
		"in vain":                    {later, 500, "0", "", "8", "free", 8000, 8000},
		"a part of what came to 500": {p.commits(1000), 500, "1", "", "7", "charged", 7000, 7000},
	} {
		t.Run(name, func(t *testing.T) {
			user := p.user(name, 8000)
			told = ""
			x := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", App: "chat", SettledBy: "app"}), by(user, edgetest.Ask("POST", "/draw")), p.settles(c.does, c.status))
			wantBill(t, x.Header(), c.cost, c.remaining)
			if got := x.Header().Get("Mana-Credits-Reserved"); got != c.reserved || x.Header().Get("Mana-Credits-Hold") != "" {
				t.Errorf("reserved %q, want %q; the client gets %v", got, c.reserved, x.Header())
			}
			if got, _, _ := strings.Cut(x.Placeholders(), " "); got != c.outcome {
				t.Errorf("outcome %q, want %q", got, c.outcome)
			}
			p.wantLeft(user, c.left)
			if told == "" {
				return
			}
			part := creditcore.Amount(2000)
			r, err := p.Commit(t.Context(), told, &part, "A picture")
			if free := c.status >= 500; free != (err != nil) {
				t.Errorf("commit: %v", err)
			} else if !free && (r.Entry.AppID != "chat" || r.Entry.Description != "A picture" || !strings.Contains(string(r.Entry.Metadata), `"/draw"`)) {
				t.Errorf("booked %+v", r.Entry)
			}
			p.wantLeft(user, c.leftOnceItHasCharged)
		})
	}
}

// What the app forgets comes back when its time is over, which begins when the response
// has ended; until then the edge keeps it, however long it takes.
func TestAppForgetsToSettle(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5", SettledBy: "app", HoldTTL: caddy.Duration(time.Second)})
	var told string
	x := edgetest.Send(t, m, by(user, edgetest.Ask("POST", "/")), p.settles(func(hold string) {
		told = hold
		if _, err := dbscope.Exec(t.Context(), p.db.Pool, dbscope.System(), `UPDATE credits.holds SET expires_at = now() + interval '1 millisecond'`); err != nil {
			t.Error(err)
		}
	}, 202))
	wantBill(t, x.Header(), "", "3")
	if stands, err := p.Standing(t.Context(), told); err != nil || !stands.Open {
		t.Fatalf("the hold: %+v, %v", stands, err)
	}
	edgetest.Eventually(t, "the credits come back", func() bool {
		if _, err := dbscope.Exec(t.Context(), p.db.Pool, dbscope.System(), `SELECT `+functions.Schema+`.reap(10)`); err != nil {
			t.Error(err)
		}
		b, err := p.BalanceOf(t.Context(), user)
		return err == nil && b.Available == 8000
	})
	edgetest.Send(t, m, by(p.user("poor", 4999), edgetest.Ask("POST", "/")), func(http.ResponseWriter, *http.Request) error {
		t.Error("the app works for who cannot pay")
		return nil
	})
}

// Two meters on a request's way tell the app two holds.
func TestAppSettlesTwoHolds(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 8000)
	inner := p.meter(&meter.Meter{Credits: "2", SettledBy: "app"})
	var told []string
	x := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", SettledBy: "app"}), by(user, edgetest.Ask("POST", "/")), func(w http.ResponseWriter, r *http.Request) error {
		return inner.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			told = slices.Clone(r.Header["Mana-Credits-Hold"])
			p.in(t).commits(500)(told[1])
			return edgetest.Answers(200)(w, r)
		}))
	})
	wantBill(t, x.Header(), "0.5", "2.5")
	if len(told) != 2 || x.Header().Get("Mana-Credits-Reserved") != "5" {
		t.Errorf("told %q, %v", told, x.Header())
	}
}

// A key stands for one hold: the app is told the same one again, and what it has charged
// is charged once. Only bodies that can be compared before the app works go with a key.
func TestAppSettlesUnderAKey(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5", SettledBy: "app"})
	var told []string
	later := p.settles(func(hold string) { told = append(told, hold) }, 200)
	edgetest.Send(t, m, keyed(user, "k", "POST", "/", "body"), later)
	edgetest.Send(t, m, keyed(user, "k", "POST", "/", "body"), later)
	p.wantLeft(user, 3000)
	untouched := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the app works")
		return nil
	})
	if x := edgetest.Send(t, m, keyed(user, "k", "POST", "/", "ydob"), untouched); x.Code != 422 {
		t.Errorf("another body: %d", x.Code)
	}
	p.commits(1000)(told[0])
	x := edgetest.Send(t, m, keyed(user, "k", "POST", "/", "body"), later)
	wantBill(t, x.Header(), "0", "7")
	if len(told) != 3 || told[1] != told[0] || told[2] != told[0] || !strings.HasPrefix(x.Placeholders(), "replayed") {
		t.Errorf("told %q, %s", told, x.Placeholders())
	}
	if _, err := p.Commit(t.Context(), told[0], nil, ""); !errors.As(err, new(*creditcore.ResolvedError)) {
		t.Errorf("committed twice: %v", err)
	}

	for _, length := range []int64{64<<10 + 1, -1} {
		r := keyed(user, "long", "POST", "/", "x")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 64<<10+1))), length
		if x := edgetest.Send(t, m, r, untouched); x.Code != 400 || !strings.Contains(x.Body.String(), "Idempotency-Key goes with a body") {
			t.Errorf("a body of length %d: %d %s", length, x.Code, x.Body)
		}
	}
	p.wantLeft(user, 7000)

	// Cancelled once is cancelled for all attempts, and the key is as good as new.
	told = nil
	edgetest.Send(t, m, keyed(user, "c", "POST", "/", ""), later)
	edgetest.Send(t, m, keyed(user, "c", "POST", "/", ""), later)
	if _, err := p.Cancel(t.Context(), told[0]); err != nil {
		t.Error(err)
	}
	p.wantLeft(user, 7000)
	edgetest.Send(t, m, keyed(user, "c", "POST", "/", ""), later)
	if told[1] != told[0] || told[2] == told[0] {
		t.Errorf("told %q", told)
	}
}

// By the wire: a client names no hold, by header or trailer, in any spelling; a stream
// and an upgrade keep what is reserved as long as they last.
func TestLiveHandover(t *testing.T) {
	var ledger *creditcore.Service
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		var names []string
		for name, values := range r.Header {
			if folded := strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name)); strings.HasPrefix(folded, "mana-credits-") {
				names = append(names, name+"="+strings.Join(values, "+"))
			}
		}
		for name := range r.Trailer {
			names = append(names, "trailer "+name)
		}
		part := creditcore.Amount(250)
		if _, err := ledger.Commit(context.WithoutCancel(r.Context()), r.Header.Get("Mana-Credits-Hold"), &part, ""); err != nil && !strings.HasPrefix(r.URL.Path, "/free") {
			names = append(names, err.Error())
		}
		fmt.Fprint(w, len(names), names)
	}))
	t.Cleanup(app.Close)
	m := &metered{Live: edgetest.StartLive(t, "", fmt.Sprintf(`
	mana_auth
	mana_credits /draw 5 {
		settled_by app
		hold_ttl 10m
	}
	@paths path /draw /free
	reverse_proxy @paths %s
	`, strings.TrimPrefix(app.URL, "http://")))}
	ledger = edgetest.LiveRuntime(t).Credits
	m.ledger = ledger
	t.Cleanup(func() { edgetest.WantSound(t, ledger) })
	user, bearer := m.payer(t, "/handover")
	for path, want := range map[string]string{"/draw": "1 [Mana-Credits-Hold=", "/free": "0 []"} {
		r := m.Request(t, "POST", path, bearer, "Mana-Credits-Hold: forged", "mana_credits_hold: forged", "Mana-Credits_Cost: forged", "Connection: Mana-Credits-Hold")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1
		r.Trailer = http.Header{"Mana-Credits-Hold": {"forged"}}
		resp := m.Do(t, r)
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasPrefix(string(body), want) || strings.Contains(string(body), "forged") {
			t.Errorf("%s: the app gets %s, %v", path, body, err)
		}
		if cost := resp.Header.Get("Mana-Credits-Cost"); path == "/draw" && cost != "0.25" {
			t.Errorf("%s: cost %q", path, cost)
		}
	}
	m.wantBooked(t, user, "7.75", creditcore.Usage)
}

func TestHandoverOptions(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]*meter.Meter{
		`settled_by: "me" is neither edge nor app`:                                                  {Credits: "5", SettledBy: "me"},
		"settled_by: the app says what a request costs: it does not go with cost_from":              {Credits: "5", SettledBy: "app", CostFrom: "X-Cost"},
		"settled_by: the app says what a request costs: it does not go with durability batched":     {Credits: "5", SettledBy: "app", Durability: "batched"},
		"settled_by: the app says what a request costs: it does not go with receipt":                {Credits: "5", SettledBy: "app", Receipt: true},
		"settled_by: the app says what a request costs: it does not go with shadow":                 {Credits: "5", SettledBy: "app", Shadow: true},
		"settled_by: the app says what a request costs: it does not go with a number as abort_cost": {Credits: "5", SettledBy: "app", AbortCost: "1"},
		"settled_by: the app says what a request costs: it does not go with cost_tokens":            {Credits: "5", SettledBy: "app", CostTokens: new(meter.TokenPrices)},
	} {
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	for _, m := range []*meter.Meter{{Credits: "5", SettledBy: "edge", CostFrom: "X-Cost"}, {Credits: "5", SettledBy: "app", AbortCost: "wait"}} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
}
