package invoice

import (
	"context"
	"log/slog"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Deps is what the service works with.
type Deps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then no invoice is ever fetched.
	Stripe  *stripeapi.Client
	Catalog *catalog.Catalog
	Ledger  *creditcore.Service
	Logger  *slog.Logger
	Now     func() time.Time
	// Grace is how long monthly credits outlive their period.
	Grace time.Duration
	// Purchased reports whether a payment intent is a purchase's, and so no
	// invoice's.
	Purchased func(ctx context.Context, intentID string) (bool, error)
}

// Service stores invoices and grants the credits they paid for. It is
// safe for concurrent use.
type Service struct {
	db        dbscope.DB
	stripe    *stripeapi.Client
	catalog   *catalog.Catalog
	ledger    *creditcore.Service
	log       *slog.Logger
	now       func() time.Time
	grace     time.Duration
	purchased func(ctx context.Context, intentID string) (bool, error)
}

// New makes a service.
func New(deps Deps) *Service {
	return &Service{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, ledger: deps.Ledger, log: deps.Logger, now: deps.Now,
		grace: deps.Grace, purchased: deps.Purchased,
	}
}
