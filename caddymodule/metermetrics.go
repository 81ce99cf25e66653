package caddymodule

import "github.com/prometheus/client_golang/prometheus"

// What became of a metered request, for metrics and placeholders.
const (
	outcomeCharged      = "charged"
	outcomeFree         = "free"
	outcomeReplayed     = "replayed"     // charged under its key before
	outcomeUnpaid       = "unpaid"       // passed while the ledger could not be asked
	outcomeInsufficient = "insufficient" // refused, as are all that follow
	outcomeGuest        = "guest"
	outcomeRefused      = "refused" // for its Idempotency-Key
	outcomeUnavailable  = "unavailable"

	shadowPrefix = "shadow_"
)

var (
	meterRequests = collectors.counter("mana_meter_requests_total",
		"Requests at mana_credits by outcome; shadow_… is what would have been.", "outcome")
	meterCredits = collectors.counter("mana_meter_credits_total",
		"Credits that mana_credits charged, or in shadow would have charged.", "mode")
	meterBadCosts = add(collectors, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_bad_costs_total",
		Help: "Responses charged in full because they did not say what they cost.",
	}))
	meterOthers = add(collectors, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_other_bodies_total",
		Help: "Requests charged although their Idempotency-Key had been, because the body was another.",
	}))
	meterUnpaid = add(collectors, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_unpaid_credits_total",
		Help: "Credits of such requests that the account did not have when the response had begun, and owes since.",
	}))
	lateSettled = collectors.counter("mana_meter_late_settlements_total",
		"Charges that had to wait for the database, by what became of them.", "outcome")
)
