package invoice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/settle"
)

const (
	// runBatch bounds how many users or invoices one job looks at in one go.
	runBatch = 200
	// collecting is how long Stripe may go on trying to get an invoice paid.
	collecting = 60 * 24 * time.Hour
)

// GrantDue grants the months that have begun since they were paid for: the
// later ones of a year.
func (s *Service) GrantDue(ctx context.Context) error {
	users, err := s.dueUsers(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range users {
		err := settle.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
			if err := LockSubscriber(ctx, tx, id); err != nil {
				return err
			}
			return s.SettlePeriods(ctx, tx, id)
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("grant what user %s is due: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

// Reconcile makes up for events that never came: invoices that were paid since,
// or that we know as open, and payments that went back.
func (s *Service) Reconcile(ctx context.Context, since time.Time) error {
	return errors.Join(s.missedInvoices(ctx, &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}), s.missedReversals(ctx, since))
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
	return settle.ApplyAll(ctx, s.db, s.log, ids, s.effect)
}

func (s *Service) missedReversals(ctx context.Context, since time.Time) error {
	intents, err := s.stripe.ReversedIntents(ctx, since)
	if err != nil {
		return err
	}
	var others []string
	for _, id := range intents {
		purchased, err := s.purchased(ctx, id)
		if err != nil {
			return err
		}
		if !purchased {
			others = append(others, id)
		}
	}
	return settle.ApplyAll(ctx, s.db, s.log, others, s.chargeEffect)
}
