package metrics

import "github.com/prometheus/client_golang/prometheus"

// Uncounted are the requests that the counters of a rate limit lost.
var Uncounted = Add(Process, prometheus.NewCounter(prometheus.CounterOpts{
	Name: "mana_rate_limit_failures_total",
	Help: "Requests that passed mana_rate_limit unlimited because its counters failed.",
}))
