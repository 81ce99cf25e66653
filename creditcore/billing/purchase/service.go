package purchase

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Errors of purchases. The texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	ErrNotFound = errors.New("Purchase not found")
	// ErrIntent means that Stripe could not be asked. A refusal by Stripe is a
	// [*stripeapi.PaymentError].
	ErrIntent = errors.New("Failed to create payment intent")
)

// Deps is what the service works with.
type Deps struct {
	DB dbscope.DB
	// Stripe is nil without a key: then nothing can be bought.
	Stripe  *stripeapi.Client
	Catalog *catalog.Catalog
	Ledger  *creditcore.Service
	Returns stripeapi.ReturnURLs
	Logger  *slog.Logger
	Now     func() time.Time
	// Observe is told of each step in a purchase's life, Drift, after each
	// reconciliation, of how many purchases were found to differ from Stripe.
	// Either may be nil and must not block.
	Observe func(outcome string)
	Drift   func(kind string, n int)
	// CardPaid keeps a card that paid, where who bought wants it kept, in the
	// transaction that brings the purchase up to date: with its credits, and again with
	// each change of it that follows. Nil keeps none.
	CardPaid func(context.Context, pgx.Tx, PaidCard) error
}

// PaidCard is a card that paid for a purchase and that Stripe keeps, the account that was
// bought for and who bought.
type PaidCard struct {
	stripeapi.Card
	Account, UserID string
}

// Service sells packages. It is safe for concurrent use.
type Service struct {
	db      dbscope.DB
	stripe  *stripeapi.Client
	catalog *catalog.Catalog
	ledger  *creditcore.Service
	returns stripeapi.ReturnURLs
	log     *slog.Logger
	now     func() time.Time
	observe func(outcome string)
	drift   func(kind string, n int)
	// cardPaid may be nil.
	cardPaid func(context.Context, pgx.Tx, PaidCard) error
}

// New makes a service.
func New(deps Deps) *Service {
	return &Service{
		db: deps.DB, stripe: deps.Stripe, catalog: deps.Catalog, ledger: deps.Ledger, returns: deps.Returns,
		log: deps.Logger, now: deps.Now, observe: deps.Observe, drift: deps.Drift, cardPaid: deps.CardPaid,
	}
}

// observed tells the observer of a step in a purchase's life.
func (s *Service) observed(outcome string) {
	if s.observe != nil {
		s.observe(outcome)
	}
}
