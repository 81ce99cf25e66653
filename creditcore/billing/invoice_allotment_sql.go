package billing

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// allotment is what one month of a paid line is due, and what came of it.
type allotment struct {
	ID                   string
	UserID               string
	StripeSubscriptionID string
	LineID               string
	StartsAt, EndsAt     time.Time
	// Credits is what it would be if nothing came in between.
	Credits creditcore.Amount
	// CutCredits fell away with a change of plan; Shortfall of them was spent.
	CutCredits, Shortfall creditcore.Amount
	// ReversedCredits fell away with a refund or dispute; ReversedTaken of
	// them could be taken.
	ReversedCredits, ReversedTaken creditcore.Amount
	// ClawedBack is what the lot lost to either.
	ClawedBack creditcore.Amount
	// Withheld was kept for the shortfall of other allotments.
	Withheld creditcore.Amount
	// Granted is nil until it is due.
	Granted   *creditcore.Amount
	GrantedAt *time.Time
	Revision  int64

	// What it depends on.
	PlanID            string
	PlanName          string
	StripeInvoiceID   string
	PaidAt            time.Time
	PaidEuroCents     int64
	ReversedEuroCents int64
	CutAt             *time.Time
	SubscriptionEnded *time.Time
	UserRemoved       bool
}

// allotments are all of a user's, in the order they fall due. A cut concerns
// what was bought before it; of two at the same second the invoices tell.
func allotments(ctx context.Context, tx pgx.Tx, userID string) ([]allotment, error) {
	found, err := tx.Query(ctx, `
		SELECT a.id, a.user_id, a.stripe_subscription_id, a.line_id, a.starts_at, a.ends_at, a.credits, a.cut_credits,
			a.shortfall, a.reversed_credits, a.reversed_taken, a.clawed_back, a.withheld, a.granted, a.granted_at, a.revision,
			a.plan_id, p.name AS plan_name, i.stripe_invoice_id, coalesce(i.paid_at, i.created_at) AS paid_at,
			i.amount_paid_euro_cents AS paid_euro_cents, i.reversed_euro_cents,
			(
				SELECT min(c.starts_at)
				FROM subscriptions.cuts c
				JOIN subscriptions.invoices ci ON ci.id = c.invoice_id
				WHERE c.stripe_subscription_id = a.stripe_subscription_id
					AND c.stripe_price_id = a.stripe_price_id
					AND c.starts_at < a.ends_at
					AND c.ends_at > a.starts_at
					AND (a.line_starts_at < c.starts_at
						OR a.line_starts_at = c.starts_at AND i.created_at <= ci.created_at AND i.id <> ci.id)
			) AS cut_at,
			(
				SELECT s.ended_at
				FROM subscriptions.subscriptions s
				WHERE s.stripe_subscription_id = a.stripe_subscription_id
			) AS subscription_ended,
			u.deleted_at IS NOT NULL AS user_removed
		FROM subscriptions.allotments a
		JOIN subscriptions.invoices i ON i.id = a.invoice_id
		JOIN subscriptions.plans p ON p.id = a.plan_id
		JOIN auth.users u ON u.id = a.user_id
		WHERE a.user_id = $1
		ORDER BY a.starts_at, a.id`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[allotment])
}

func storeAllotment(ctx context.Context, tx pgx.Tx, a allotment) error {
	_, err := tx.Exec(ctx, `
		UPDATE subscriptions.allotments
		SET cut_credits = $2, shortfall = $3, reversed_credits = $4, reversed_taken = $5, clawed_back = $6,
			withheld = $7, granted = $8, granted_at = $9, revision = revision + 1
		WHERE id = $1`,
		a.ID, int64(a.CutCredits), int64(a.Shortfall), int64(a.ReversedCredits), int64(a.ReversedTaken), int64(a.ClawedBack),
		int64(a.Withheld), a.Granted, a.GrantedAt)
	return err
}

// unspent is what is left of a lot: zero where there is none.
func unspent(ctx context.Context, tx pgx.Tx, userID, reference string) (creditcore.Amount, error) {
	var left int64
	// Spending is charged to lots late: first bring them up to date.
	_, err := tx.Exec(ctx, `
		SELECT credits.burn(user_id)
		FROM credits.account($1)`, userID)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		SELECT remaining
		FROM credits.lots
		WHERE user_id = $1
			AND reference = $2`, userID, reference).Scan(&left)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return creditcore.Amount(left), err
}
