package topup

import (
	"errors"
	"log/slog"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

const (
	// MostADay bounds the top-ups of an account within 24 hours.
	MostADay = 3
	// MostFailures is how many payments are declined, since the last that
	// succeeded, before it switches itself off.
	MostFailures = 3
	// ConfirmWithin is how long the owner has to confirm a payment with their bank.
	ConfirmWithin = 72 * time.Hour
)

// Errors of the settings; test with [errors.Is], never by text.
var (
	ErrNoCard    = errors.New("No card is saved")
	ErrThreshold = errors.New("The threshold must be above zero, and no more than the package has")
	ErrCap       = errors.New("The monthly cap must cover the package once")
	// ErrNothingToConfirm means that no payment waits for its owner.
	ErrNothingToConfirm = errors.New("No payment waits to be confirmed")
	// ErrCard means that Stripe could not be asked about a card.
	ErrCard = errors.New("Failed to reach the payment service")
)

// Deps is what the service works with.
type Deps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then nothing is bought.
	Stripe    *stripeapi.Client
	Catalog   *catalog.Catalog
	Ledger    *creditcore.Service
	Purchases *purchase.Service
	Returns   stripeapi.ReturnURLs
	Logger    *slog.Logger
}

// Service tops accounts up. The time is PostgreSQL's. It is safe for concurrent use.
type Service struct {
	db        dbscope.DB
	stripe    *stripeapi.Client
	catalog   *catalog.Catalog
	ledger    *creditcore.Service
	purchases *purchase.Service
	returns   stripeapi.ReturnURLs
	log       *slog.Logger
}

// New makes a service.
func New(deps Deps) *Service {
	return &Service{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, ledger: deps.Ledger, purchases: deps.Purchases,
		returns: deps.Returns, log: deps.Logger,
	}
}
