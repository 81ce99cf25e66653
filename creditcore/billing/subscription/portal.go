package subscription

import (
	"context"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// Portal opens Stripe's billing portal for the caller and returns its address.
// It leads back to returnURL. It fails with [stripeapi.ErrNotConfigured],
// [stripeapi.ErrUserNotFound], [ErrNoBillingAccount], a [*stripeapi.ReturnURLError], [ErrPortal]
// or a [*stripeapi.PaymentError].
func (s *Service) Portal(ctx context.Context, c creditcore.Caller, returnURL string) (string, error) {
	if s.stripe == nil {
		return "", stripeapi.ErrNotConfigured
	}
	if err := s.returns.Check("returnUrl", returnURL); err != nil {
		return "", err
	}
	owner, err := s.stripe.CustomerOwner(ctx, c)
	if err != nil {
		return "", err
	}
	if owner.CustomerID == "" {
		return "", ErrNoBillingAccount
	}
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	session, err := s.stripe.V1BillingPortalSessions.Create(ctx, &stripe.BillingPortalSessionCreateParams{
		Customer:  stripe.String(owner.CustomerID),
		ReturnURL: stripe.String(returnURL),
	})
	if stripeapi.CustomerGone(err) {
		return "", ErrNoBillingAccount
	}
	if err != nil {
		return "", stripeapi.PublicError(err, ErrPortal)
	}
	return session.URL, nil
}
