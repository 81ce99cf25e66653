package settle

import "time"

const (
	// ReconcileWindow is how far back Stripe and we are compared.
	ReconcileWindow = 7 * 24 * time.Hour
	// EventDelay is how long events are given to arrive before a difference
	// counts.
	EventDelay = 5 * time.Minute
	// ReconcileTimeout bounds one reconciliation.
	ReconcileTimeout = 10 * time.Minute
)
