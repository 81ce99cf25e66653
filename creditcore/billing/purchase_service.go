package billing

import (
	"errors"
	"log/slog"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Errors of purchases. The texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	ErrPurchaseNotFound = errors.New("Purchase not found")
	// ErrIntent means that Stripe could not be asked. A refusal by Stripe is a
	// [*PaymentError].
	ErrIntent = errors.New("Failed to create payment intent")
)

// purchaseDeps is what the service works with.
type purchaseDeps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then nothing can be bought.
	Stripe  *Client
	Catalog *Catalog
	Ledger  *creditcore.Service
	Returns ReturnURLs
	Logger  *slog.Logger
	Now     func() time.Time
	// Observe is told of each step in a purchase's life, Drift, after each
	// reconciliation, of how many purchases were found to differ from Stripe.
	// Either may be nil and must not block.
	Observe func(outcome string)
	Drift   func(kind string, n int)
}

// purchaseService sells packages. It is safe for concurrent use.
type purchaseService struct {
	db      dbscope.DB
	stripe  *Client
	catalog *Catalog
	ledger  *creditcore.Service
	returns ReturnURLs
	log     *slog.Logger
	now     func() time.Time
	observe func(outcome string)
	drift   func(kind string, n int)
}

// newPurchaseService makes a service.
func newPurchaseService(deps purchaseDeps) *purchaseService {
	return &purchaseService{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, ledger: deps.Ledger, returns: deps.Returns,
		log: deps.Logger, now: deps.Now, observe: deps.Observe, drift: deps.Drift,
	}
}

// observed tells the observer of a step in a purchase's life.
func (s *purchaseService) observed(outcome string) {
	if s.observe != nil {
		s.observe(outcome)
	}
}
