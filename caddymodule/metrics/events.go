package metrics

import "github.com/prometheus/client_golang/prometheus"

func newEventMetrics(m *Set) *prometheus.CounterVec {
	return m.counter("mana_events_total", "Security events that were handed on to the sink, or could not be, by outcome.", "outcome")
}

// HandedOn counts security events that were handed on to the sink of the
// config, or that it did not take.
func (m *Set) HandedOn(events int, taken bool) {
	outcome := "failed"
	if taken {
		outcome = "sent"
	}
	m.events.WithLabelValues(outcome).Add(float64(events))
}
