package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// Cancel ends the caller's subscription with the period that is paid. It may
// be repeated. It fails with [stripeapi.ErrNotConfigured], [ErrNoSubscription],
// [ErrSubscriptionChange] or a [*stripeapi.PaymentError].
func (s *Service) Cancel(ctx context.Context, c creditcore.Caller) error {
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	sub, err := s.liveSubscription(ctx, c)
	if err != nil {
		return err
	}
	if sub.StripeSubscriptionID == nil {
		return ErrNoSubscription
	}
	id := *sub.StripeSubscriptionID
	params := &stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(true)}
	return s.change(ctx, id, ErrNoSubscription, func(context.Context) (*stripe.SubscriptionUpdateParams, error) { return params, nil })
}

// Reactivate takes back the cancellation of a subscription that has not ended.
// It fails as [billing.Service.Cancel] does, with [ErrNotCanceled] for
// [ErrNoSubscription].
func (s *Service) Reactivate(ctx context.Context, c creditcore.Caller) error {
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	sub, err := s.liveSubscription(ctx, c)
	if errors.Is(err, ErrNoSubscription) || err == nil && (sub.StripeSubscriptionID == nil || !sub.CancelAtPeriodEnd) {
		return ErrNotCanceled
	}
	if err != nil {
		return err
	}
	id := *sub.StripeSubscriptionID
	return s.change(ctx, id, ErrNotCanceled, func(ctx context.Context) (*stripe.SubscriptionUpdateParams, error) {
		now, err := s.fetch(ctx, id)
		if err != nil {
			return nil, err
		}
		params := &stripe.SubscriptionUpdateParams{}
		if now.CancelAt != 0 && !now.CancelAtPeriodEnd { // the portal sets a date
			params.AddUnsetField(stripe.SubscriptionUpdateParamsUnsetFieldCancelAt)
		} else {
			params.CancelAtPeriodEnd = stripe.Bool(false)
		}
		return params, nil
	})
}

// change updates a subscription at Stripe and then stores what Stripe has.
// Once Stripe has agreed the change is made: if it cannot be stored now, an
// event will follow. Where Stripe has no such subscription, or one that has
// ended, ours is brought up to date and the error is ended.
func (s *Service) change(ctx context.Context, id string, ended error, params func(context.Context) (*stripe.SubscriptionUpdateParams, error)) error {
	asked, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	wanted, err := params(asked)
	if err == nil {
		_, err = s.stripe.V1Subscriptions.Update(asked, id, wanted)
	}
	refresh := func() error {
		return s.refresh(context.WithoutCancel(ctx), id)
	}
	if err == nil {
		if err := refresh(); err != nil {
			s.log.WarnContext(ctx, "a changed subscription is not stored yet", "subscription", id, "error", err)
		}
		return nil
	}
	if over, fetchErr := s.isOver(ctx, id); fetchErr == nil && over {
		return errors.Join(ended, refresh())
	}
	return stripeapi.PublicError(err, ErrSubscriptionChange)
}

// refresh stores a subscription as Stripe has it now.
func (s *Service) refresh(ctx context.Context, id string) error {
	return settle.ApplyWithRetry(ctx, s.db, func(ctx context.Context) (settle.Effect, error) { return s.effect(ctx, id) })
}

// isOver reports whether a subscription has ended, or never was.
func (s *Service) isOver(ctx context.Context, id string) (bool, error) {
	sub, err := s.fetch(ctx, id)
	if stripeapi.Missing(err) {
		return true, nil
	}
	return err == nil && (sub.Status == stripe.SubscriptionStatusCanceled || sub.Status == stripe.SubscriptionStatusIncompleteExpired), err
}

// CancelForUser ends everything a user would go on paying for, at once: their
// subscriptions, also those that we have not heard of, and their open checkout.
// It is for accounts that are closed, and may be repeated; [billing.Service.Run] does
// so for users who are gone. Nothing is refunded.
func (s *Service) CancelForUser(ctx context.Context, userID string) error {
	if s.stripe == nil {
		return nil
	}
	ids, err := s.endings(ctx, userID)
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range ids {
		if err := s.end(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("end subscription %s: %w", id, err))
		}
	}
	return errors.Join(append(failed, s.closeCheckout(ctx, userID))...)
}

// endings are the subscriptions of a user that are alive, here or at Stripe.
func (s *Service) endings(ctx context.Context, userID string) ([]string, error) {
	ours, err := s.liveIDs(ctx, userID)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, id := range ours {
		known[id] = true
	}
	customerID, err := s.stripe.CustomerOf(ctx, userID)
	if err != nil || customerID == "" {
		return ours, err
	}
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	params := &stripe.SubscriptionListParams{Customer: stripe.String(customerID)} // those that are not canceled
	params.Limit = stripe.Int64(100)
	for sub, err := range s.stripe.V1Subscriptions.List(bound, params).All(bound) {
		if stripeapi.Missing(err) || stripeapi.CustomerGone(err) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list subscriptions of %s: %w", customerID, err)
		}
		if !known[sub.ID] {
			ours = append(ours, sub.ID)
		}
	}
	return ours, nil
}

// end cancels a subscription at once.
func (s *Service) end(ctx context.Context, id string) error {
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	_, err := s.stripe.V1Subscriptions.Cancel(bound, id, nil)
	if err != nil {
		if over, fetchErr := s.isOver(ctx, id); fetchErr != nil || !over {
			return errors.Join(err, fetchErr)
		}
	}
	return s.refresh(ctx, id)
}

// closeCheckout ends an open checkout. One that was paid in between becomes a
// subscription, which [billing.Service.Run] ends.
func (s *Service) closeCheckout(ctx context.Context, userID string) error {
	known, err := s.checkoutOf(ctx, userID)
	if err != nil || known.SessionID == "" || !known.ExpiresAt.After(s.now()) {
		return err
	}
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	_, err = s.stripe.V1CheckoutSessions.Expire(bound, known.SessionID, nil)
	if err != nil && !stripeapi.Decided(err) { // else it is no longer open
		return fmt.Errorf("close checkout %s: %w", known.SessionID, err)
	}
	return s.dropCheckout(ctx, userID, known.SessionID)
}
