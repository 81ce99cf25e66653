package purchase

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Status of a purchase. A failed one may still complete: a payment that is
// tried again after a refusal has the same intent.
type Status string

// Statuses of a purchase.
const (
	Pending   Status = "pending"
	Completed Status = "completed"
	Failed    Status = "failed"
)

// Purchase is a sale at the terms of its moment.
type Purchase struct {
	ID                    string
	UserID                string  // the account
	BoughtBy              *string // the member who bought, where the account is an organisation's
	PackageID             *string
	Credits               creditcore.Amount
	PriceEuroCents        int64
	StripePaymentIntentID *string
	StripeCustomerID      *string
	Status                Status
	Metadata              json.RawMessage
	CreatedAt             time.Time
	CompletedAt           *time.Time
}

// Order asks for a package. Key is the client's idempotency key, empty for
// none.
type Order struct {
	PackageID string
	// SaveCard keeps the card that pays for the automatic top-up, see
	// [mana.how/edge/creditcore/billing/topup]. A bank account is not kept.
	SaveCard bool
	Key      string
}

// Intent is a payment that the client confirms with Stripe's own library.
type Intent struct {
	PurchaseID     string
	ClientSecret   string
	PriceEuroCents int64
	Credits        creditcore.Amount
	// Replayed is set where the key's intent existed.
	Replayed bool
}

// Buy begins a purchase that the client pays for in its own form. It fails
// with [stripeapi.ErrNotConfigured], [catalog.ErrPackageNotFound], [stripeapi.ErrUserNotFound],
// [stripeapi.ErrCustomer], [ErrIntent], a [*stripeapi.PaymentError], an [*OpenPurchasesError],
// [creditcore.ErrKeyReused] or [creditcore.ErrInvalid].
func (s *Service) Buy(ctx context.Context, c creditcore.Caller, o Order) (Intent, error) {
	var out Intent
	err := s.sell(ctx, c, sale{kind: kindIntent, packageID: o.PackageID, saveCard: o.SaveCard, key: o.Key}, func(ctx context.Context, p purchaseRow) error {
		intent, err := s.intentOf(ctx, p)
		if err != nil {
			return stripeapi.PublicError(err, ErrIntent)
		}
		out = Intent{
			PurchaseID: p.ID, ClientSecret: intent.ClientSecret, PriceEuroCents: p.PriceEuroCents,
			Credits: p.Credits, Replayed: p.replayed,
		}
		return s.linkPurchase(ctx, p, link{intentID: intent.ID})
	})
	if err != nil {
		return Intent{}, err
	}
	return out, nil
}

// intentOf makes the payment intent of a purchase, or fetches the one it has.
func (s *Service) intentOf(ctx context.Context, p purchaseRow) (*stripe.PaymentIntent, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	if p.IntentID != "" {
		return s.stripe.V1PaymentIntents.Retrieve(ctx, p.IntentID, nil)
	}
	params := &stripe.PaymentIntentCreateParams{
		Amount:                  stripe.Int64(p.PriceEuroCents),
		Currency:                stripe.String(catalog.Currency),
		Customer:                stripe.String(p.CustomerID),
		Metadata:                p.stripeMetadata(),
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
	}
	if p.SaveCard {
		params.PaymentMethodOptions = &stripe.PaymentIntentCreatePaymentMethodOptionsParams{
			Card: &stripe.PaymentIntentCreatePaymentMethodOptionsCardParams{SetupFutureUsage: stripe.String(offSession)},
		}
	}
	params.SetIdempotencyKey("purchase:" + p.ID + ":" + p.CustomerID)
	return s.stripe.V1PaymentIntents.Create(ctx, params)
}

// mostPurchases bounds a list of them.
const mostPurchases = 1000

// Purchases lists what the caller bought or began to, newest first, a thousand
// at most.
func (s *Service) Purchases(ctx context.Context, c creditcore.Caller) ([]Purchase, error) {
	return dbscope.List[Purchase](ctx, s.db, dbscope.User(c.UserID, c.Role), `
		SELECT `+purchaseColumns+`
		FROM credits.purchases
		WHERE user_id = $1
		ORDER BY created_at DESC, id DESC
		LIMIT $2`, c.Account(), mostPurchases)
}

// Purchase is one of the caller's account, or one that the caller made for an
// organisation, or [ErrNotFound].
func (s *Service) Purchase(ctx context.Context, c creditcore.Caller, id string) (Purchase, error) {
	p, err := dbscope.One[Purchase](ctx, s.db, dbscope.User(c.UserID, c.Role), `
		SELECT `+purchaseColumns+`
		FROM credits.purchases
		WHERE id = $1
			AND (user_id = $2 OR bought_by = $3)`, id, c.Account(), c.UserID)
	return p, purchaseError(err)
}
