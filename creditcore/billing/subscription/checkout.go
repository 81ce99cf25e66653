package subscription

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/fingerprint"
)

// Order asks for a checkout of a plan.
type Order struct {
	PlanID     string
	Interval   catalog.Interval // Monthly where empty
	Seats      int              // of a plan by the seat; zero is one for each member
	SuccessURL string
	CancelURL  string
}

// Checkout is a page of Stripe on which a subscription begins.
type Checkout struct {
	SessionID string
	URL       string
}

// Subscribe opens a checkout. A user has one open checkout at most: the same
// order again leads to the same page, another order closes the page before it.
// So nobody can pay two subscriptions. It fails with [stripeapi.ErrNotConfigured],
// [catalog.ErrPlanNotFound], also for a plan that is not for sale, [catalog.ErrNoMonthlyPrice],
// [catalog.ErrNoYearlyPrice], [ErrNotPerSeat], a [*SeatsTakenError], [ErrSubscribed], [stripeapi.ErrUserNotFound], [stripeapi.ErrCustomer],
// [stripeapi.ErrCheckout], a [*stripeapi.ReturnURLError] or a [*stripeapi.PaymentError].
func (s *Service) Subscribe(ctx context.Context, c creditcore.Caller, o Order) (Checkout, error) {
	if s.stripe == nil {
		return Checkout{}, stripeapi.ErrNotConfigured
	}
	if o.Interval == "" {
		o.Interval = catalog.Monthly
	}
	if err := s.returns.Check("successUrl", o.SuccessURL, "cancelUrl", o.CancelURL); err != nil {
		return Checkout{}, err
	}
	plan, err := s.catalog.Plan(ctx, o.PlanID)
	if err != nil {
		return Checkout{}, err
	}
	if !plan.Active {
		return Checkout{}, catalog.ErrPlanNotFound
	}
	price, err := plan.Price(o.Interval)
	if err != nil {
		return Checkout{}, err
	}
	if o.Seats, err = s.seatsOf(ctx, c, plan, o.Seats); err != nil {
		return Checkout{}, err
	}
	out, err := settle.RetryStale(ctx, func() (Checkout, error) {
		return s.subscribe(ctx, c, planOrder{Order: o, priceID: price})
	})
	if errors.Is(err, settle.ErrStale) {
		err = fmt.Errorf("%w: other checkouts of the user came in between", stripeapi.ErrCheckout)
	}
	return out, err
}

// planOrder is an order with the price it comes to.
type planOrder struct {
	Order
	priceID string
}

func (o planOrder) fingerprint() []byte {
	return fingerprint.Of(o.PlanID, o.priceID, string(o.Interval), strconv.Itoa(o.Seats), o.SuccessURL, o.CancelURL)
}

// subscribe fails with ErrStale where another request came in between.
func (s *Service) subscribe(ctx context.Context, c creditcore.Caller, o planOrder) (Checkout, error) {
	known, err := s.checkoutOf(ctx, c.Account())
	if err != nil {
		return Checkout{}, err
	}
	if known.Subscribed {
		return Checkout{}, ErrSubscribed
	}
	if known.SessionID != "" {
		open, err := s.resume(ctx, c.Account(), known, o)
		if err != nil || open.URL != "" {
			return open, err
		}
	}
	var made *stripe.CheckoutSession
	err = s.stripe.WithCustomer(ctx, c, func(customerID string) (err error) {
		made, err = s.makePlanSession(ctx, c, customerID, known.Revision, o)
		return err
	})
	if errors.Is(err, stripeapi.ErrCustomer) || errors.Is(err, stripeapi.ErrUserNotFound) || errors.Is(err, creditcore.ErrUnavailable) {
		return Checkout{}, err
	}
	if err != nil {
		return Checkout{}, stripeapi.PublicError(err, stripeapi.ErrCheckout)
	}
	return Checkout{SessionID: made.ID, URL: made.URL}, s.keepCheckout(ctx, c.Account(), made, known.Revision, o)
}

// resume returns the known checkout if it is open and for the same order.
// Otherwise it sees to it that nobody can pay there any more and returns an
// empty one. It fails with [ErrSubscribed] where it was paid.
func (s *Service) resume(ctx context.Context, userID string, known checkoutRow, o planOrder) (Checkout, error) {
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	session, err := s.stripe.V1CheckoutSessions.Retrieve(bound, known.SessionID, nil)
	switch {
	case stripeapi.Missing(err):
		return Checkout{}, nil
	case err != nil:
		return Checkout{}, stripeapi.PublicError(err, stripeapi.ErrCheckout)
	case session.Status == stripe.CheckoutSessionStatusOpen && string(known.Fingerprint) == string(o.fingerprint()):
		return Checkout{SessionID: session.ID, URL: session.URL}, nil
	case session.Status == stripe.CheckoutSessionStatusOpen:
		if _, err := s.stripe.V1CheckoutSessions.Expire(bound, session.ID, nil); err != nil {
			if !stripeapi.Decided(err) {
				return Checkout{}, stripeapi.PublicError(err, stripeapi.ErrCheckout)
			}
			s.log.InfoContext(ctx, "a checkout could not be closed", "session", session.ID, "error", err)
			return Checkout{}, settle.ErrStale // paid in this moment, or closed by a twin
		}
	case session.Status == stripe.CheckoutSessionStatusComplete:
		return Checkout{}, s.checkPaid(ctx, userID, session)
	}
	return Checkout{}, nil
}

// checkPaid fails with [ErrSubscribed] where the subscription of a completed
// checkout is alive, even if Stripe's event is not here yet.
func (s *Service) checkPaid(ctx context.Context, userID string, session *stripe.CheckoutSession) error {
	if session.Subscription == nil {
		return nil
	}
	err := s.refresh(ctx, session.Subscription.ID)
	if err != nil {
		return err
	}
	again, err := s.checkoutOf(ctx, userID)
	if err == nil && again.Subscribed {
		err = ErrSubscribed
	}
	return err
}

// makePlanSession makes the checkout session of an order. Twins of the same
// order get the same one.
func (s *Service) makePlanSession(ctx context.Context, c creditcore.Caller, customerID string, revision int64, o planOrder) (*stripe.CheckoutSession, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	subscribed, opened := stripeapi.BuyerMetadata(c), stripeapi.BuyerMetadata(c)
	subscribed["planId"], opened["planId"], opened["billingInterval"] = o.PlanID, o.PlanID, string(o.Interval)
	params := &stripe.CheckoutSessionCreateParams{
		Mode:               stripe.String("subscription"),
		PaymentMethodTypes: stripe.StringSlice([]string{"card", "sepa_debit"}),
		Customer:           stripe.String(customerID),
		ClientReferenceID:  stripe.String(c.Account()),
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{
			Price: stripe.String(o.priceID), Quantity: stripe.Int64(int64(o.Seats)),
		}},
		Metadata: opened,
		SubscriptionData: &stripe.CheckoutSessionCreateSubscriptionDataParams{
			Metadata: subscribed,
		},
		SuccessURL: stripe.String(o.SuccessURL),
		CancelURL:  stripe.String(o.CancelURL),
	}
	params.SetIdempotencyKey(fmt.Sprintf("subscription:%s:%d:%s:%s",
		c.Account(), revision, s.stripe.KeyHour(), hex.EncodeToString(fingerprint.Of(customerID, string(o.fingerprint())))))
	return s.stripe.V1CheckoutSessions.Create(ctx, params)
}

// keepCheckout remembers an open checkout. Where another request was faster
// it closes this one, unless it is the same, and fails with ErrStale.
func (s *Service) keepCheckout(ctx context.Context, userID string, made *stripe.CheckoutSession, revision int64, o planOrder) error {
	ctx = context.WithoutCancel(ctx)
	kept, err := s.storeCheckout(ctx, checkoutRow{
		SessionID: made.ID, URL: made.URL, Fingerprint: o.fingerprint(), ExpiresAt: s.checkoutEnd(made), Revision: revision,
	}, userID)
	if err != nil || kept {
		return err
	}
	known, err := s.checkoutOf(ctx, userID)
	if err != nil || known.SessionID == made.ID {
		return err
	}
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	if _, err := s.stripe.V1CheckoutSessions.Expire(ctx, made.ID, nil); err != nil {
		s.log.WarnContext(ctx, "a surplus checkout could not be closed", "session", made.ID, "error", err)
	}
	return settle.ErrStale
}

// checkoutLifetime is how long Stripe keeps a checkout open.
const checkoutLifetime = 24*time.Hour - 30*time.Second

func (s *Service) checkoutEnd(made *stripe.CheckoutSession) time.Time {
	if made.ExpiresAt == 0 {
		return s.now().Add(checkoutLifetime)
	}
	return time.Unix(made.ExpiresAt, 0)
}
