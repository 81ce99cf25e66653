package invoice

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/internal/dbscope"
)

// invoiceRevision is zero where there is no row.
func (s *Service) invoiceRevision(ctx context.Context, stripeID string) (int64, error) {
	known, err := dbscope.One[struct{ Revision int64 }](ctx, s.db, dbscope.System(), `
		SELECT revision
		FROM subscriptions.invoices
		WHERE stripe_invoice_id = $1`, stripeID)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return known.Revision, err
}

// storeInvoice writes an invoice as Stripe had it, unless our row moved since
// (ErrStale), and what its lines are due.
func (s *Service) storeInvoice(ctx context.Context, tx pgx.Tx, r invoiceRow) error {
	if err := LockSubscriber(ctx, tx, r.UserID); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `
		INSERT INTO subscriptions.invoices AS i (user_id, subscription_id, stripe_invoice_id, stripe_customer_id, number,
			status, amount_due_euro_cents, amount_paid_euro_cents, currency, hosted_invoice_url, invoice_pdf_url,
			period_start, period_end, due_date, paid_at, metadata, created_at, updated_at, stripe_subscription_id,
			reversed_euro_cents, revision)
		SELECT @user_id, (SELECT id FROM subscriptions.subscriptions WHERE stripe_subscription_id = @stripe_subscription_id), @stripe_invoice_id, @stripe_customer_id, @number,
			@status, @amount_due, @amount_paid, @currency, @hosted_url, @pdf_url, @period_start, @period_end, @due_date, @paid_at, @metadata, @created_at, @now, nullif(@stripe_subscription_id, ''), @reversed, 1
		WHERE @revision = coalesce((SELECT revision FROM subscriptions.invoices WHERE stripe_invoice_id = @stripe_invoice_id), 0)
		ON CONFLICT (stripe_invoice_id) DO UPDATE
		SET subscription_id = coalesce(excluded.subscription_id, i.subscription_id),
			stripe_customer_id = excluded.stripe_customer_id, number = excluded.number, status = excluded.status,
			amount_due_euro_cents = excluded.amount_due_euro_cents, amount_paid_euro_cents = excluded.amount_paid_euro_cents,
			currency = excluded.currency, hosted_invoice_url = excluded.hosted_invoice_url,
			invoice_pdf_url = excluded.invoice_pdf_url, period_start = excluded.period_start,
			period_end = excluded.period_end, due_date = excluded.due_date, paid_at = excluded.paid_at,
			metadata = excluded.metadata, updated_at = excluded.updated_at,
			stripe_subscription_id = coalesce(excluded.stripe_subscription_id, i.stripe_subscription_id),
			reversed_euro_cents = excluded.reversed_euro_cents, revision = i.revision + 1
		RETURNING i.id`, pgx.StrictNamedArgs{
		"user_id": r.UserID, "stripe_subscription_id": r.StripeSubscriptionID, "stripe_invoice_id": r.StripeInvoiceID,
		"stripe_customer_id": r.StripeCustomerID, "number": r.Number, "status": r.Status,
		"amount_due": r.AmountDueEuroCents, "amount_paid": r.AmountPaidEuroCents, "currency": r.Currency,
		"hosted_url": r.HostedInvoiceURL, "pdf_url": r.InvoicePDFURL,
		"period_start": r.PeriodStart, "period_end": r.PeriodEnd, "due_date": r.DueDate, "paid_at": r.PaidAt,
		"metadata": r.Metadata, "created_at": r.CreatedAt, "now": s.now(),
		"reversed": r.ReversedEuroCents, "revision": r.Revision,
	}).Scan(&r.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return settle.ErrStale
	}
	if err != nil {
		return err
	}
	if err := catalog.StoreTerms(ctx, tx, r.prices); err != nil {
		return err
	}
	if r.StripeSubscriptionID != "" {
		for _, l := range r.lines {
			if err := storeLine(ctx, tx, r, l); err != nil {
				return fmt.Errorf("store line %s: %w", l.id, err)
			}
		}
	}
	return s.SettlePeriods(ctx, tx, r.UserID)
}

// storeLine writes what a line of a paid invoice means, once.
func storeLine(ctx context.Context, tx pgx.Tx, r invoiceRow, l paidLine) error {
	if l.cut {
		_, err := tx.Exec(ctx, `
			INSERT INTO subscriptions.cuts (id, user_id, invoice_id, stripe_subscription_id, stripe_price_id, starts_at, ends_at)
			VALUES (@id, @user_id, @invoice_id, @subscription_id, @price_id, @starts_at, @ends_at)
			ON CONFLICT (id) DO NOTHING`, pgx.StrictNamedArgs{
			"id": l.id, "user_id": r.UserID, "invoice_id": r.ID, "subscription_id": r.StripeSubscriptionID,
			"price_id": l.price.PriceID, "starts_at": l.starts, "ends_at": l.ends,
		})
		return err
	}
	for k, part := range spread(l.credits, l.starts, l.ends) {
		_, err := tx.Exec(ctx, `
			INSERT INTO subscriptions.allotments (id, user_id, invoice_id, stripe_subscription_id, stripe_price_id, plan_id,
				line_id, line_starts_at, starts_at, ends_at, credits)
			VALUES (@id, @user_id, @invoice_id, @subscription_id, @price_id, @plan_id, @line_id, @line_starts_at, @starts_at, @ends_at, @credits)
			ON CONFLICT (id) DO NOTHING`, pgx.StrictNamedArgs{
			"id": fmt.Sprintf("%s:%d", l.id, k), "user_id": r.UserID, "invoice_id": r.ID,
			"subscription_id": r.StripeSubscriptionID, "price_id": l.price.PriceID, "plan_id": l.price.PlanID,
			"line_id": l.id, "line_starts_at": l.starts, "starts_at": part.starts, "ends_at": part.ends,
			"credits": int64(part.credits),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// LockSubscriber makes everything about a user's subscriptions wait in line.
// It comes before the lock of their account.
func LockSubscriber(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('subscriptions:' || $1, 0))`, userID)
	return err
}

// Adopt ties invoices that came before their subscription to it.
func Adopt(ctx context.Context, tx pgx.Tx, stripeID string) error {
	_, err := tx.Exec(ctx, `
		UPDATE subscriptions.invoices i
		SET subscription_id = s.id
		FROM subscriptions.subscriptions s
		WHERE s.stripe_subscription_id = $1
			AND i.stripe_subscription_id = $1
			AND i.subscription_id IS NULL`, stripeID)
	return err
}
