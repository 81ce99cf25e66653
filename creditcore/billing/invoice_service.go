package billing

import (
	"context"
	"log/slog"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// invoiceDeps is what the service works with.
type invoiceDeps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then no invoice is ever fetched.
	Stripe  *Client
	Catalog *Catalog
	Ledger  *creditcore.Service
	Logger  *slog.Logger
	Now     func() time.Time
	// Grace is how long monthly credits outlive their period.
	Grace time.Duration
	// Purchased reports whether a payment intent is a purchase's, and so no
	// invoice's.
	Purchased func(ctx context.Context, intentID string) (bool, error)
}

// invoiceService stores invoices and grants the credits they paid for. It is
// safe for concurrent use.
type invoiceService struct {
	db        dbscope.DB
	stripe    *Client
	catalog   *Catalog
	ledger    *creditcore.Service
	log       *slog.Logger
	now       func() time.Time
	grace     time.Duration
	purchased func(ctx context.Context, intentID string) (bool, error)
}

// newInvoiceService makes a service.
func newInvoiceService(deps invoiceDeps) *invoiceService {
	return &invoiceService{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, ledger: deps.Ledger, log: deps.Logger, now: deps.Now,
		grace: deps.Grace, purchased: deps.Purchased,
	}
}
