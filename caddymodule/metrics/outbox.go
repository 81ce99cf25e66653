package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outboxMetrics measure what is delivered after its transaction, such as mail.
type outboxMetrics struct {
	deliveries    *prometheus.CounterVec
	deliveryTime  *prometheus.HistogramVec
	waiting, dead prometheus.Gauge
	oldest        prometheus.Gauge
}

func newOutboxMetrics(m *Set) outboxMetrics {
	return outboxMetrics{
		deliveries: Add(m, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mana_outbox_deliveries_total", Help: "Tries to deliver a message by channel, kind and outcome.",
		}, []string{"channel", "kind", "outcome"})),
		deliveryTime: Add(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mana_outbox_delivery_seconds", Help: "Time that a try to deliver a message took, by channel.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"channel"})),
		waiting: m.gauge("mana_outbox_waiting", "Messages that are to be delivered."),
		dead:    m.gauge("mana_outbox_dead", "Messages that were given up and are kept."),
		oldest:  m.gauge("mana_outbox_oldest_seconds", "How long ago the oldest message was written that is to be delivered."),
	}
}

// ObserveDelivery counts a try to deliver a message.
func (m *Set) ObserveDelivery(channel, kind, outcome string, took time.Duration) {
	m.deliveries.WithLabelValues(channel, kind, outcome).Inc()
	m.deliveryTime.WithLabelValues(channel).Observe(took.Seconds())
}

// outboxCountEvery is how often the messages are counted.
const outboxCountEvery = 30 * time.Second

// CountOutbox keeps the gauges of the outbox up to date until ctx ends.
func (m *Set) CountOutbox(ctx context.Context, counts func(context.Context) (waiting, dead int, oldest time.Duration, err error), log *slog.Logger) {
	ticker := time.NewTicker(outboxCountEvery)
	defer ticker.Stop()
	for {
		waiting, dead, oldest, err := counts(ctx)
		switch {
		case err == nil:
			m.waiting.Set(float64(waiting))
			m.dead.Set(float64(dead))
			m.oldest.Set(oldest.Seconds())
		case ctx.Err() == nil:
			log.Warn("count the outbox", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
