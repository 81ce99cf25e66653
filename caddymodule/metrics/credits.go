package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/dbscope"
)

// creditMetrics measure the ledger and what it is paid for.
type creditMetrics struct {
	debits, holds, grants, granted *prometheus.CounterVec
	compensations, purchases       *prometheus.CounterVec
	gifts                          *prometheus.CounterVec
	coupons, trials, guests        *prometheus.CounterVec
	giftingHolds                   *prometheus.CounterVec
	webhooks                       *prometheus.CounterVec
	debitTime, batchSize           prometheus.Histogram
	openHolds, leakedHolds         prometheus.Gauge
	drift                          *prometheus.GaugeVec
}

func newCreditMetrics(m *Set) creditMetrics {
	return creditMetrics{
		debits: m.counter("mana_credit_debits_total", "Charges by outcome.", "outcome"),
		debitTime: m.histogram("mana_credit_debit_seconds", "Time a charge took, the wait for its batch included.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
		batchSize: m.histogram("mana_credit_batch_size", "Charges that were committed together.",
			1, 2, 4, 8, 16, 32, 64, 128, 256),
		holds:         m.counter("mana_credit_holds_total", "Steps in the life of holds.", "event"),
		openHolds:     m.gauge("mana_credit_holds_open", "Holds that are neither settled nor released nor expired."),
		leakedHolds:   m.gauge("mana_credit_holds_leaked", "Open holds whose time was over two minutes ago: nobody reaps them."),
		grants:        m.counter("mana_credit_grants_total", "Grants by source.", "source"),
		granted:       m.counter("mana_credit_granted_total", "Granted credits by source.", "source"),
		compensations: m.counter("mana_credit_compensations_total", "Charges of free outcomes that were taken back, by outcome.", "outcome"),
		purchases:     m.counter("mana_credit_purchases_total", "Steps in the life of purchases.", "outcome"),
		gifts:         m.counter("mana_gifts_total", "Steps in the life of gifts.", "event"),
		coupons:       m.counter("mana_coupons_total", "Redemptions of coupons, and what they were refused.", "event"),
		trials:        m.counter("mana_trials_total", "Trials of new accounts, and what they were refused.", "event"),
		guests:        m.counter("mana_guest_promises_total", "What guests had left when they signed up, by what became of it.", "event"),
		giftingHolds:  m.counter("mana_gifting_holds_total", "Accounts whose gifting was held, and released.", "event"),
		drift: Add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mana_credit_drift", Help: "Purchases that the last comparison found to differ from Stripe, by kind.",
		}, []string{"kind"})),
		webhooks: Add(m, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mana_stripe_webhooks_total", Help: "Events of Stripe by type and what became of them.",
		}, []string{"type", "outcome"})),
	}
}

// LedgerObserver is what the ledger reports to.
func (m *Set) LedgerObserver() creditcore.Observer {
	return creditcore.Observer{
		Debit: func(outcome string, took time.Duration) {
			m.debits.WithLabelValues(outcome).Inc()
			m.debitTime.Observe(took.Seconds())
		},
		Grant: func(source string, amount creditcore.Amount) {
			m.grants.WithLabelValues(source).Inc()
			m.granted.WithLabelValues(source).Add(float64(amount) / float64(creditcore.Credit))
		},
		Hold:         func(event string) { m.holds.WithLabelValues(event).Inc() },
		Batch:        func(size int) { m.batchSize.Observe(float64(size)) },
		Settlement:   func(outcome string) { lateSettled.WithLabelValues(outcome).Inc() },
		Compensation: func(outcome string) { m.compensations.WithLabelValues(outcome).Inc() },
	}
}

// GiftObserver is what gifts report to.
func (m *Set) GiftObserver() gift.Observer {
	return gift.Observer{Gift: func(event string) { m.gifts.WithLabelValues(event).Inc() }}
}

// GuestObserver is what the wallets of guests report to.
func (m *Set) GuestObserver() guest.Observer {
	return guest.Observer{Promise: func(event string) { m.guests.WithLabelValues(event).Inc() }}
}

// CouponObserver is what coupons and trials report to.
func (m *Set) CouponObserver() coupon.Observer {
	return coupon.Observer{
		Coupon: func(event string) { m.coupons.WithLabelValues(event).Inc() },
		Trial:  func(event string) { m.trials.WithLabelValues(event).Inc() },
	}
}

// AbuseObserver is what the scoring of accounts reports to.
func (m *Set) AbuseObserver() abuse.Observer {
	return abuse.Observer{Hold: func(event string) { m.giftingHolds.WithLabelValues(event).Inc() }}
}

// BillingObserver is what the sale of credits reports to.
func (m *Set) BillingObserver() billing.Observer {
	return billing.Observer{
		Webhook:  func(eventType, outcome string) { m.webhooks.WithLabelValues(eventType, outcome).Inc() },
		Drift:    func(kind string, n int) { m.drift.WithLabelValues(kind).Set(float64(n)) },
		Purchase: func(outcome string) { m.purchases.WithLabelValues(outcome).Inc() },
	}
}

const (
	holdCountEvery = 30 * time.Second
	holdCountLimit = 10 * time.Second
)

// holdCount is a census of the holds that nobody has resolved.
type holdCount struct{ Open, Leaked int64 }

const countHoldsSQL = `
SELECT count(*) AS open,
       count(*) FILTER (WHERE expires_at < now() - interval '2 minutes') AS leaked
FROM credits.holds
WHERE state = 'open' AND NOT lease`

// CountHolds keeps the gauges of holds up to date until ctx ends.
func (m *Set) CountHolds(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) {
	ticker := time.NewTicker(holdCountEvery)
	defer ticker.Stop()
	for {
		if err := m.CountHoldsOnce(ctx, pool); err != nil && ctx.Err() == nil {
			log.Warn("count holds", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// CountHoldsOnce is one round of counting the open holds.
func (m *Set) CountHoldsOnce(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, holdCountLimit)
	defer cancel()
	n, err := dbscope.Row[holdCount](ctx, pool, dbscope.System(), countHoldsSQL)
	if err != nil {
		return err
	}
	m.openHolds.Set(float64(n.Open))
	m.leakedHolds.Set(float64(n.Leaked))
	return nil
}
