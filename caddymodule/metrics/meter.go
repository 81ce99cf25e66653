package metrics

import "github.com/prometheus/client_golang/prometheus"

// What became of a metered request, for metrics and placeholders.
const (
	OutcomeCharged      = "charged"
	OutcomeFree         = "free"
	OutcomeReplayed     = "replayed"     // charged under its key before
	OutcomeUnpaid       = "unpaid"       // passed while the ledger could not be asked
	OutcomeInsufficient = "insufficient" // refused, as are all that follow
	OutcomeGuest        = "guest"
	OutcomeRefused      = "refused" // for its Idempotency-Key
	OutcomeUnavailable  = "unavailable"
	OutcomeReserved     = "reserved" // for the app to charge

	ShadowPrefix = "shadow_"
)

// The metrics of mana_credits.
var (
	MeterRequests = Process.counter("mana_meter_requests_total",
		"Requests at mana_credits by app and outcome; shadow_… is what would have been.", "app", "outcome")
	MeterCredits = Process.counter("mana_meter_credits_total",
		"Credits that mana_credits charged for an app, or in shadow would have charged.", "app", "mode")
	MeterBadCosts = Add(Process, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_bad_costs_total",
		Help: "Responses charged in full because they did not say what they cost.",
	}))
	MeterOthers = Add(Process, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_other_bodies_total",
		Help: "Requests charged although their Idempotency-Key had been, because the body was another.",
	}))
	MeterUnpaid = Add(Process, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mana_meter_unpaid_credits_total",
		Help: "Credits of such requests that the account did not have when the response had begun, and owes since.",
	}))
	lateSettled = Process.counter("mana_meter_late_settlements_total",
		"Charges that had to wait for the database, by what became of them.", "outcome")
)
