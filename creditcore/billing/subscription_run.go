package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"
)

const (
	// runBatch bounds how many users one job looks at in one go.
	runBatch = 200
	// collecting is how long Stripe may go on trying to get an invoice paid.
	collecting = 60 * 24 * time.Hour
)

// grantDue grants the months that have begun since they were paid for: the
// later ones of a year.
func (s *Service) grantDue(ctx context.Context) error {
	users, err := s.dueUsers(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range users {
		err := s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			if err := lockSubscriber(ctx, tx, id); err != nil {
				return err
			}
			return s.allot(ctx, tx, id)
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("grant what user %s is due: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

// endOrphans ends what users who are gone would go on paying for.
func (s *Service) endOrphans(ctx context.Context) error {
	if s.stripe == nil {
		return nil
	}
	users, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range users {
		if err := s.CancelForUser(ctx, id); err != nil {
			faults = append(faults, fmt.Errorf("end the subscriptions of user %s, who is gone: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

// reconcileSubscriptions makes up for events that never came: invoices of the
// last days that were paid, or that we know as open, payments that went back,
// and subscriptions that began or ought to have ended or been renewed.
func (s *Service) reconcileSubscriptions(ctx context.Context) error {
	if s.stripe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileWait)
	defer cancel()
	from := s.now().Add(-reconcileWindow)
	since := &stripe.RangeQueryParams{GreaterThanOrEqual: from.Unix()}
	return errors.Join(s.missedSubscriptions(ctx, since), s.missedRenewals(ctx), s.missedInvoices(ctx, since), s.missedReversals(ctx, from))
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
	return s.bringAll(ctx, ids, s.subscriptionNow)
}

func (s *Service) missedRenewals(ctx context.Context) error {
	ids, err := s.overdueSubscriptions(ctx)
	if err != nil {
		return err
	}
	return s.bringAll(ctx, ids, s.subscriptionNow)
}

func (s *Service) missedInvoices(ctx context.Context, since *stripe.RangeQueryParams) error {
	params := &stripe.InvoiceListParams{Status: stripe.String("paid"), CreatedRange: since}
	params.Limit = stripe.Int64(100)
	var ids []string
	for invoice, err := range s.stripe.V1Invoices.List(ctx, params).All(ctx) {
		if err != nil {
			return fmt.Errorf("list invoices: %w", err)
		}
		ids = append(ids, invoice.ID)
	}
	ids, err := s.unpaidInvoices(ctx, ids, s.now().Add(-collecting))
	if err != nil {
		return err
	}
	return s.bringAll(ctx, ids, s.invoiceNow)
}

func (s *Service) missedReversals(ctx context.Context, since time.Time) error {
	intents, err := s.returnedIntents(ctx, since)
	if err != nil {
		return err
	}
	var others []string
	for _, id := range intents {
		_, err := s.findPurchase(ctx, trail{intentID: id})
		switch {
		case errors.Is(err, ErrPurchaseNotFound):
			others = append(others, id)
		case err != nil:
			return err
		}
	}
	return s.bringAll(ctx, others, s.invoiceChargeEffect)
}

func (s *Service) bringAll(ctx context.Context, ids []string, now func(context.Context, string) (effect, error)) error {
	var faults []error
	for _, id := range ids {
		err := s.bring(ctx, func(ctx context.Context) (effect, error) { return now(ctx, id) })
		switch {
		case permanent(err):
			s.log.ErrorContext(ctx, "an object of Stripe can never be applied", "object", id, "error", err)
		case err != nil:
			faults = append(faults, fmt.Errorf("bring %s up to date: %w", id, err))
		}
	}
	return errors.Join(faults...)
}
