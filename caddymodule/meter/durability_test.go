package meter_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
)

// ahead is what leases reserve of an account.
func (p *purse) ahead(user string) creditcore.Amount {
	p.t.Helper()
	r, err := dbscope.Row[struct{ Amount creditcore.Amount }](p.t.Context(), p.db.Pool, dbscope.System(),
		`SELECT coalesce(sum(amount), 0)::bigint AS amount FROM credits.holds WHERE user_id = $1 AND lease AND state = 'open'`, user)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Amount
}

// A route with durability batched answers, and books, as one without, on the border
// too.
func TestMeterBatched(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	run(t, p.Service)
	const price, paid = 250, 40
	user := p.user("ada", paid*price+price-1)
	m := p.meter(&meter.Meter{Credits: "0.25", App: "maps", Operation: "tile", Durability: "batched"})
	left, leased := creditcore.Amount(paid*price+price-1), false
	for served, i := 0, 0; ; i++ {
		status := http.StatusOK
		if i%4 == 3 {
			status = http.StatusBadGateway
		}
		x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/tile")), edgetest.Answers(status))
		if x.Code == http.StatusPaymentRequired {
			// Half of what is left may be in a lease, as small as it is.
			left := amount(t, x.Header().Get("Mana-Credits-Remaining"))
			if served != paid || x.Reached != 0 || left > price-1 || left < (price-1)/2 {
				t.Errorf("402 after %d requests, want %d: %v", served, paid, x.Header())
			}
			break
		}
		outcome, cost := "free", "0"
		if status == http.StatusOK {
			outcome, cost = "charged", "0.25"
			served, left = served+1, left-price
		}
		// Less by what is leased where it was charged at once, and more by what was
		// charged at once since the last flush, which a busy machine delays: never
		// more than a lease's worth.
		remaining := x.Header().Get("Mana-Credits-Remaining")
		wantBill(t, x.Header(), cost, remaining)
		if got := amount(t, remaining); got > left+8*price || got < left/2-8*price {
			t.Errorf("%s remain, want %s, of which half may be leased", got, left)
		}
		if want := outcome + " " + cost + " " + remaining; x.Placeholders() != want {
			t.Errorf("placeholders %q, want %q", x.Placeholders(), want)
		}
		if served == 2 && !leased { // as soon as the edge has seen that the user asks often
			edgetest.Eventually(t, "a lease", func() bool { return p.ahead(user) > 0 })
			leased = true
		}
	}
	edgetest.Eventually(t, "all is written and given back", func() bool { return !p.Owes() && p.ahead(user) == 0 })
	p.wantAvailable(user, price-1)
	var rows int
	for _, e := range edgetest.Entries(t, p.Service, user) {
		if e.Type != creditcore.Usage {
			continue
		}
		rows++
		if e.AppID != "maps" || e.Operation != "tile" || e.Description != "tile" || !strings.Contains(string(e.Metadata), `"/tile"`) {
			t.Errorf("entry %+v", e)
		}
	}
	if rows < paid {
		t.Errorf("%d rows, want at least %d", rows, paid)
	}
}

// What a key of either kind is behind is charged at once on such a route.
func TestMeterBatchedWithAKey(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	run(t, p.Service)
	user := p.user("ada", creditcore.Credits(1000))
	m := p.meter(&meter.Meter{Credits: "1", Durability: "batched"})
	left := creditcore.Credits(1000)
	for p.ahead(user) == 0 {
		edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/")), edgetest.Answers(200))
		left -= creditcore.Credit
		time.Sleep(5 * time.Millisecond)
	}
	for range 3 {
		x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/", "Idempotency-Key: once")), edgetest.Answers(200))
		if x.Code != 200 {
			t.Errorf("status %d", x.Code)
		}
	}
	x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/", "Idempotency-Key: once")), edgetest.Answers(200))
	if x.Code != http.StatusConflict {
		t.Errorf("a fourth pass: %d", x.Code)
	}
	edgetest.Eventually(t, "the lease goes back", func() bool { return !p.Owes() && p.ahead(user) == 0 })
	p.wantAvailable(user, left-creditcore.Credit)
}

func TestMeterBatchedFaults(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]*meter.Meter{
		`durability: "late" is neither full nor batched`:                                          {Credits: "5", Durability: "late"},
		"durability: batched is for a fixed price that users pay: it does not go with cost_from":  {Credits: "5", Durability: "batched", CostFrom: "X-Cost"},
		"durability: batched is for a fixed price that users pay: it does not go with abort_cost": {Credits: "5", Durability: "batched", AbortCost: "wait"},
		"durability: batched is for a fixed price that users pay: it does not go with hold_ttl":   {Credits: "5", Durability: "batched", HoldTTL: 5e9},
		"durability: batched is for a fixed price that users pay: it does not go with payer org":  {Credits: "5", Durability: "batched", Payer: "org"},
	} {
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, durability := range []string{"", "full", "batched"} {
		if err := (&meter.Meter{Credits: "5", Durability: durability}).Validate(); err != nil {
			t.Errorf("%q: %v", durability, err)
		}
	}
}
