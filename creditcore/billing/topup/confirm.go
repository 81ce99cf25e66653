package topup

import (
	"context"
	"errors"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// ConfirmTopUp goes on with the payment that waits for the caller, who is there: one
// that their bank asked them about, or one that was declined. It returns the page of
// their bank, which leads to returnURL, or none where the payment is done. It fails
// with [stripeapi.ErrNotConfigured], [ErrNothingToConfirm], [ErrNoCard],
// [purchase.ErrIntent], a [*stripeapi.PaymentError] or a [*stripeapi.ReturnURLError].
func (s *Service) ConfirmTopUp(ctx context.Context, c creditcore.Caller, returnURL string) (string, error) {
	if s.stripe == nil {
		return "", stripeapi.ErrNotConfigured
	}
	if err := s.returns.Check("returnUrl", returnURL); err != nil {
		return "", err
	}
	now, err := s.TopUp(ctx, c)
	switch {
	case err != nil:
		return "", err
	case now.Running == nil || !now.Running.Confirm && now.Running.Reason != "declined":
		return "", ErrNothingToConfirm
	case now.Card == nil:
		return "", ErrNoCard
	}
	page, err := s.purchases.ConfirmSaved(ctx, now.Running.ID, now.Card.paymentMethod, returnURL)
	if errors.Is(err, purchase.ErrCardGone) {
		err = ErrNoCard
	}
	return page, err
}

// RefreshTopUp brings the payment that is under way up to date, for who comes back
// from their bank before Stripe's event does.
func (s *Service) RefreshTopUp(ctx context.Context, c creditcore.Caller) error {
	if s.stripe == nil {
		return nil
	}
	now, err := s.TopUp(ctx, c)
	if err != nil || now.Running == nil || now.Running.PriceEuroCents == 0 {
		return err
	}
	_, err = s.purchases.RefreshSaved(ctx, now.Running.ID)
	return err
}
