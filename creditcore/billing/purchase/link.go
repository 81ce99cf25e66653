package purchase

import (
	"context"
	"errors"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// checkoutLife is how long a payment link is open. Stripe refuses more than 24
// hours by its own clock, so that ours may be ahead by a little.
const checkoutLife = 24*time.Hour - 30*time.Second

// LinkOrder asks for a payment link. The URLs are where the buyer goes on;
// empty ones are our own pages.
type LinkOrder struct {
	PackageID  string
	SuccessURL string
	CancelURL  string
	// RoomID is a chat room the link was asked in. It is kept with the
	// purchase.
	RoomID string
	// SaveCard is as in [Order].
	SaveCard bool
	Key      string
}

// PaymentLink is a page of Stripe that sells a package once.
type PaymentLink struct {
	URL            string
	PurchaseID     string
	ExpiresAt      time.Time
	PackageName    string
	Credits        creditcore.Amount
	PriceEuroCents int64
	// Replayed is set where the key's link existed.
	Replayed bool
}

// PaymentLink begins a purchase on a page of Stripe. It fails as
// [billing.Service.Buy] does, with [stripeapi.ErrCheckout] for [ErrIntent], and with a
// [*stripeapi.ReturnURLError].
func (s *Service) PaymentLink(ctx context.Context, c creditcore.Caller, o LinkOrder) (PaymentLink, error) {
	if err := s.returns.Check("successUrl", o.SuccessURL, "cancelUrl", o.CancelURL); err != nil {
		return PaymentLink{}, err
	}
	var out PaymentLink
	ordered := sale{
		kind: kindCheckout, packageID: o.PackageID, successURL: o.SuccessURL, cancelURL: o.CancelURL,
		roomID: o.RoomID, saveCard: o.SaveCard, key: o.Key,
	}
	err := s.sell(ctx, c, ordered, func(ctx context.Context, p purchaseRow) error {
		out = PaymentLink{
			URL: p.CheckoutURL, PurchaseID: p.ID, ExpiresAt: *p.ExpiresAt, PackageName: p.PackageName,
			Credits: p.Credits, PriceEuroCents: p.PriceEuroCents, Replayed: p.replayed,
		}
		if p.SessionID != "" {
			return nil
		}
		session, err := s.makeSession(ctx, p, ordered)
		if err != nil {
			return stripeapi.PublicError(err, stripeapi.ErrCheckout)
		}
		out.URL = session.URL
		made := link{sessionID: session.ID, checkoutURL: session.URL}
		if session.PaymentIntent != nil {
			made.intentID = session.PaymentIntent.ID
		}
		return s.linkPurchase(ctx, p, made)
	})
	if err != nil {
		return PaymentLink{}, err
	}
	return out, nil
}

// RefreshSession brings the purchase of a checkout session up to date, for who comes back
// from there before Stripe's event does, and reports whether the caller's account has such
// a purchase.
func (s *Service) RefreshSession(ctx context.Context, c creditcore.Caller, sessionID string) (bool, error) {
	p, err := s.findPurchase(ctx, paymentReference{sessionID: sessionID})
	switch {
	case errors.Is(err, ErrNotFound), err == nil && p.UserID != c.Account():
		return false, nil
	case err != nil:
		return false, err
	}
	_, err = s.refresh(ctx, paymentReference{purchaseID: p.ID}, nil)
	return true, err
}

// makeSession makes the checkout session of a purchase. The purchase's id is
// in the metadata of the session and of the payment intent it will make, so
// that an event of either finds it.
func (s *Service) makeSession(ctx context.Context, p purchaseRow, o sale) (*stripe.CheckoutSession, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	metadata := p.stripeMetadata()
	metadata["roomId"] = o.roomID
	successURL, cancelURL := o.successURL, o.cancelURL
	if successURL == "" {
		successURL = s.returns.Site() + "/credits/success?purchase_id=" + p.ID
	}
	if cancelURL == "" {
		cancelURL = s.returns.Site() + "/credits/cancelled"
	}
	params := &stripe.CheckoutSessionCreateParams{
		Mode:               stripe.String("payment"),
		PaymentMethodTypes: stripe.StringSlice([]string{"card", "sepa_debit"}),
		Customer:           stripe.String(p.CustomerID),
		ClientReferenceID:  stripe.String(p.ID),
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{
			Quantity: stripe.Int64(1),
			PriceData: &stripe.CheckoutSessionCreateLineItemPriceDataParams{
				Currency:   stripe.String(catalog.Currency),
				UnitAmount: stripe.Int64(p.PriceEuroCents),
				ProductData: &stripe.CheckoutSessionCreateLineItemPriceDataProductDataParams{
					Name:        stripe.String(p.PackageName),
					Description: stripe.String(p.Credits.String() + " Credits"),
				},
			},
		}},
		Metadata: metadata,
		PaymentIntentData: &stripe.CheckoutSessionCreatePaymentIntentDataParams{
			Metadata: p.stripeMetadata(),
		},
		SuccessURL: stripe.String(successURL),
		CancelURL:  stripe.String(cancelURL),
		ExpiresAt:  stripe.Int64(p.ExpiresAt.Unix()),
	}
	if p.SaveCard {
		params.PaymentMethodOptions = &stripe.CheckoutSessionCreatePaymentMethodOptionsParams{
			Card: &stripe.CheckoutSessionCreatePaymentMethodOptionsCardParams{SetupFutureUsage: stripe.String(offSession)},
		}
	}
	params.SetIdempotencyKey("purchase:" + p.ID + ":" + p.CustomerID)
	return s.stripe.V1CheckoutSessions.Create(ctx, params)
}
