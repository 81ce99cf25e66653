package billing

import (
	"context"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
)

// Portal opens Stripe's billing portal for the caller and returns its address.
// It leads back to returnURL. It fails with [ErrNotConfigured],
// [ErrUserNotFound], [ErrNoBillingAccount], a [*ReturnURLError], [ErrPortal]
// or a [*PaymentError].
func (s *subscriptionService) Portal(ctx context.Context, c creditcore.Caller, returnURL string) (string, error) {
	if s.stripe == nil {
		return "", ErrNotConfigured
	}
	if err := s.returns.Check("returnUrl", returnURL); err != nil {
		return "", err
	}
	owner, err := s.stripe.CustomerOwner(ctx, c.UserID)
	if err != nil {
		return "", err
	}
	if owner.CustomerID == "" {
		return "", ErrNoBillingAccount
	}
	ctx, cancel := WithTimeout(ctx)
	defer cancel()
	session, err := s.stripe.V1BillingPortalSessions.Create(ctx, &stripe.BillingPortalSessionCreateParams{
		Customer:  stripe.String(owner.CustomerID),
		ReturnURL: stripe.String(returnURL),
	})
	if CustomerGone(err) {
		return "", ErrNoBillingAccount
	}
	if err != nil {
		return "", PublicError(err, ErrPortal)
	}
	return session.URL, nil
}
