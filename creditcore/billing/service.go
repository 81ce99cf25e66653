package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/invoice"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/internal/dbscope"
)

// The parts of a service, by the names they have in it.
type (
	purchases     = purchase.Service
	invoices      = invoice.Service
	subscriptions = subscription.Service
	topUps        = topup.Service
)

// Service sells credits. It is safe for concurrent use.
type Service struct {
	*catalog.Catalog
	*purchases
	*invoices
	*subscriptions
	*topUps

	events  *settle.Events
	returns stripeapi.ReturnURLs
	secrets []string
	db      dbscope.DB
	log     *slog.Logger
	now     func() time.Time
	observe func(eventType, outcome string)
	// stripe is nil without a key.
	stripe *stripeapi.Client
}

// New connects nothing. [Service.Run] must be running for abandoned purchases
// to expire and for differences with Stripe to be found.
func New(cfg Config, deps Deps) *Service {
	if cfg.Grace == 0 {
		cfg.Grace = 72 * time.Hour
	}
	s := &Service{
		db:      dbscope.DB{Pool: deps.Pool, Error: dbError},
		returns: stripeapi.ReturnURLs{BaseURL: cfg.BaseURL, Allowed: cfg.ReturnURL},
		secrets: cfg.WebhookSecrets, log: deps.Logger, now: deps.Now, observe: deps.Observer.Webhook,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if cfg.SecretKey != "" {
		s.stripe = stripeapi.New(cfg.SecretKey, cfg.APIURL, s.db, s.now)
	}
	s.Catalog = catalog.New(s.db, s.stripe, cfg.Plans, cfg.Packages)
	s.purchases = purchase.New(purchase.Deps{
		DB: s.db, Stripe: s.stripe, Catalog: s.Catalog, Ledger: deps.Ledger, Returns: s.returns, Logger: s.log, Now: s.now,
		Observe: deps.Observer.Purchase, Drift: deps.Observer.Drift,
		CardPaid: func(ctx context.Context, tx pgx.Tx, c purchase.PaidCard) error { return s.topUps.CardPaid(ctx, tx, c) },
	})
	s.invoices = invoice.New(invoice.Deps{
		DB: s.db, Stripe: s.stripe, Catalog: s.Catalog, Ledger: deps.Ledger, Logger: s.log, Now: s.now,
		Grace: cfg.Grace, Purchased: s.purchases.Purchased,
	})
	s.subscriptions = subscription.New(subscription.Deps{
		DB: s.db, Stripe: s.stripe, Catalog: s.Catalog, Invoices: s.invoices, Returns: s.returns, Logger: s.log, Now: s.now,
	})
	s.topUps = topup.New(topup.Deps{
		DB: s.db, Stripe: s.stripe, Catalog: s.Catalog, Ledger: deps.Ledger, Purchases: s.purchases, Returns: s.returns, Logger: s.log,
	})
	s.events = settle.NewEvents(s.db, s.log, func() {
		if deps.Observer.Purchase != nil {
			deps.Observer.Purchase("mismatch")
		}
	})
	return s
}

// dbError turns the database being away into [creditcore.ErrUnavailable].
// Everything else passes through.
func dbError(err error) error {
	if dbscope.IsUnavailable(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}

// Format implements [fmt.Formatter]: a printed service shows none of its keys.
func (s *Service) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "billing of %s", s.returns.BaseURL)
}

// AllowsReturn reports whether buyers may be sent to an address.
func (s *Service) AllowsReturn(raw string) bool { return s.returns.Allows(raw) }

// EraseTx forgets the address of a customer who leaves, and buys nothing more for
// them. Stripe's id of them stays, to end what they subscribed to.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	if err := topup.EraseTx(ctx, tx, userID); err != nil {
		return err
	}
	return stripeapi.EraseTx(ctx, tx, userID)
}

// Sells reports whether anything can be bought.
func (s *Service) Sells() bool { return s.stripe != nil }

// IsCustomer reports whether Stripe knows the caller, so that [Service.Portal]
// has something to show.
func (s *Service) IsCustomer(ctx context.Context, c creditcore.Caller) (bool, error) {
	if s.stripe == nil {
		return false, nil
	}
	id, err := s.stripe.CustomerOf(ctx, c.Account())
	return id != "", err
}
