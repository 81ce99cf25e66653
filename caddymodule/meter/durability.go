package meter

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
)

// The values of the option durability.
const (
	durabilityFull    = "full"
	durabilityBatched = "batched"
)

// validateBatched reports the options that reserve the price of each request by itself.
func (m *Meter) validateBatched(fault func(format string, args ...any)) {
	for _, option := range []struct {
		name string
		set  bool
	}{{"cost_from", m.CostFrom != ""}, {"cost_tokens", m.CostTokens != nil}, {"abort_cost", m.AbortCost != ""}, {"hold_ttl", m.HoldTTL != 0}, {"payer org", m.Payer == payerOrg}} {
		if option.set {
			fault("durability: batched is for a fixed price that users pay: it does not go with %s", option.name)
		}
	}
}

// lease charges the request to what is leased of the user's account, if that suffices.
func (v *meteredRequest) lease(ledger *creditcore.Service, debit creditcore.Debit) (charge, bool) {
	if v.Durability != durabilityBatched {
		return nil, false
	}
	c, ok := ledger.DebitLeased(debit)
	if !ok {
		return nil, false
	}
	v.bill.see(c.Remaining)
	return leased{c, v.price}, true
}

// leased was taken from a lease.
type leased struct {
	charge *creditcore.Leased
	price  creditcore.Amount
}

func (c leased) settle(context.Context, creditcore.Amount, json.RawMessage) (settlement, error) {
	c.charge.Begun()
	return settlement{outcome: metrics.OutcomeCharged, cost: c.price, entry: c.charge.EntryID()}, nil
}

func (c leased) cancel(context.Context) (settlement, error) {
	return settlementOf(metrics.OutcomeFree, 0, c.charge.Cancel()), nil
}
