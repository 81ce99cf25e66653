package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/settle"
)

// jobBatch bounds how many users or subscriptions one job looks at in one go.
const jobBatch = 200

// EndOrphans ends what users who are gone would go on paying for.
func (s *Service) EndOrphans(ctx context.Context) error {
	if s.stripe == nil {
		return nil
	}
	users, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range users {
		if err := s.CancelForUser(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("end the subscriptions of user %s, who is gone: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

// Reconcile makes up for events that never came: subscriptions that began since
// or ought to have ended or been renewed.
func (s *Service) Reconcile(ctx context.Context, since time.Time) error {
	return errors.Join(s.missedSubscriptions(ctx, &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}), s.missedRenewals(ctx))
}

func (s *Service) missedSubscriptions(ctx context.Context, since *stripe.RangeQueryParams) error {
	params := &stripe.SubscriptionListParams{Status: stripe.String("all"), CreatedRange: since}
	params.Limit = stripe.Int64(100)
	var ids []string
	for sub, err := range s.stripe.V1Subscriptions.List(ctx, params).All(ctx) {
		if err != nil {
			return fmt.Errorf("list subscriptions: %w", err)
		}
		ids = append(ids, sub.ID)
	}
	ids, err := s.unknownSubscriptions(ctx, ids)
	if err != nil {
		return err
	}
	return settle.ApplyAll(ctx, s.db, s.log, ids, s.effect)
}

func (s *Service) missedRenewals(ctx context.Context) error {
	ids, err := s.overdueSubscriptions(ctx)
	if err != nil {
		return err
	}
	return settle.ApplyAll(ctx, s.db, s.log, ids, s.effect)
}
