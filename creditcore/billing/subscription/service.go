package subscription

import (
	"log/slog"
	"time"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/invoice"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Deps is what the service works with.
type Deps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then nothing can be subscribed to.
	Stripe   *stripeapi.Client
	Catalog  *catalog.Catalog
	Invoices *invoice.Service
	Returns  stripeapi.ReturnURLs
	Logger   *slog.Logger
	Now      func() time.Time
}

// Service sells subscriptions. It is safe for concurrent use.
type Service struct {
	db       dbscope.DB
	stripe   *stripeapi.Client
	catalog  *catalog.Catalog
	invoices *invoice.Service
	returns  stripeapi.ReturnURLs
	log      *slog.Logger
	now      func() time.Time
}

// New makes a service.
func New(deps Deps) *Service {
	return &Service{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, invoices: deps.Invoices, returns: deps.Returns,
		log: deps.Logger, now: deps.Now,
	}
}
