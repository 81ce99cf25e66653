package billing

import (
	"log/slog"
	"time"

	"mana.how/edge/internal/dbscope"
)

// subscriptionDeps is what the service works with.
type subscriptionDeps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then nothing can be subscribed to.
	Stripe   *Client
	Catalog  *Catalog
	Invoices *invoiceService
	Returns  ReturnURLs
	Logger   *slog.Logger
	Now      func() time.Time
}

// subscriptionService sells subscriptions. It is safe for concurrent use.
type subscriptionService struct {
	db       dbscope.DB
	stripe   *Client
	catalog  *Catalog
	invoices *invoiceService
	returns  ReturnURLs
	log      *slog.Logger
	now      func() time.Time
}

// newSubscriptionService makes a service.
func newSubscriptionService(deps subscriptionDeps) *subscriptionService {
	return &subscriptionService{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, invoices: deps.Invoices, returns: deps.Returns,
		log: deps.Logger, now: deps.Now,
	}
}
