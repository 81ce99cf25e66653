package invoice

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/migrations/functions"
)

// creditPeriod is what one month of a paid line is due, and what came of it: a
// row of the table subscriptions.allotments, which keeps its older name.
type creditPeriod struct {
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
	// Withheld was kept for the shortfall of other credit periods.
	Withheld creditcore.Amount
	// Granted is nil until it is due.
	Granted   *creditcore.Amount
	GrantedAt *time.Time
	Revision  int64

	// What it depends on.
	PlanID            string
	PlanName          string
	RolloverCredits   creditcore.Amount // of the plan, a seat
	Seats             int
	StripeInvoiceID   string
	PaidAt            time.Time
	PaidEuroCents     int64
	ReversedEuroCents int64
	CutAt             *time.Time
	SubscriptionEnded *time.Time
	UserRemoved       bool
}

// creditPeriods are all of a user's, in the order they fall due. A cut concerns
// what was bought before it. Those of one second say nothing of their order:
// each cut takes one line, the one that ran before if there is one, and lines of
// the same price and second are alike, so that their number is what counts.
func creditPeriods(ctx context.Context, tx pgx.Tx, userID string) ([]creditPeriod, error) {
	found, err := tx.Query(ctx, `
		WITH lines AS (
			SELECT a.line_id AS id, a.stripe_subscription_id AS subscription, a.stripe_price_id AS price,
				a.line_starts_at AS starts_at, max(a.ends_at) AS ends_at, i.created_at,
				EXISTS (
					SELECT
					FROM subscriptions.cuts c
					WHERE c.invoice_id = i.id
						AND c.stripe_price_id = a.stripe_price_id
				) AS beside_cut
			FROM subscriptions.allotments a
			JOIN subscriptions.invoices i ON i.id = a.invoice_id
			WHERE a.user_id = $1
			GROUP BY a.line_id, a.stripe_subscription_id, a.stripe_price_id, a.line_starts_at, i.id
		), cuts AS (
			SELECT stripe_subscription_id AS subscription, stripe_price_id AS price, starts_at, ends_at
			FROM subscriptions.cuts
			WHERE user_id = $1
		), cut_at_once AS (
			SELECT l.id, row_number() OVER (
					PARTITION BY l.subscription, l.price, l.starts_at
					ORDER BY l.beside_cut, l.created_at, l.id)
				<= (
					SELECT count(*) FROM cuts c
					WHERE (c.subscription, c.price, c.starts_at) = (l.subscription, l.price, l.starts_at)
				) - greatest(0, (
					SELECT count(*) FROM lines o
					WHERE (o.subscription, o.price) = (l.subscription, l.price)
						AND o.starts_at < l.starts_at
						AND o.ends_at > l.starts_at
				) - (
					SELECT count(*) FROM cuts c
					WHERE (c.subscription, c.price) = (l.subscription, l.price)
						AND c.starts_at < l.starts_at
						AND c.ends_at > l.starts_at
				)) AS cut
			FROM lines l
		)
		SELECT a.id, a.user_id, a.stripe_subscription_id, a.line_id, a.starts_at, a.ends_at, a.credits, a.cut_credits,
			a.shortfall, a.reversed_credits, a.reversed_taken, a.clawed_back, a.withheld, a.granted, a.granted_at, a.revision,
			a.plan_id, p.name AS plan_name, p.rollover_credits, coalesce(s.seats, 1) AS seats, i.stripe_invoice_id, coalesce(i.paid_at, i.created_at) AS paid_at,
			i.amount_paid_euro_cents AS paid_euro_cents, i.reversed_euro_cents,
			CASE WHEN o.cut THEN a.line_starts_at ELSE (
				SELECT min(c.starts_at)
				FROM cuts c
				WHERE (c.subscription, c.price) = (a.stripe_subscription_id, a.stripe_price_id)
					AND c.starts_at < a.ends_at
					AND c.ends_at > a.starts_at
					AND c.starts_at > a.line_starts_at
			) END AS cut_at,
			s.ended_at AS subscription_ended,
			NOT `+functions.Schema+`.lives(a.user_id) AS user_removed
		FROM subscriptions.allotments a
		JOIN cut_at_once o ON o.id = a.line_id
		JOIN subscriptions.invoices i ON i.id = a.invoice_id
		JOIN subscriptions.plans p ON p.id = a.plan_id
		LEFT JOIN subscriptions.subscriptions s ON s.stripe_subscription_id = a.stripe_subscription_id
		WHERE a.user_id = $1
		ORDER BY a.starts_at, a.id`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[creditPeriod])
}

func storePeriod(ctx context.Context, tx pgx.Tx, p creditPeriod) error {
	_, err := tx.Exec(ctx, `
		UPDATE subscriptions.allotments
		SET cut_credits = @cut_credits, shortfall = @shortfall, reversed_credits = @reversed_credits, reversed_taken = @reversed_taken, clawed_back = @clawed_back,
			withheld = @withheld, granted = @granted, granted_at = @granted_at, revision = revision + 1
		WHERE id = @id`, pgx.StrictNamedArgs{
		"id": p.ID, "cut_credits": int64(p.CutCredits), "shortfall": int64(p.Shortfall),
		"reversed_credits": int64(p.ReversedCredits), "reversed_taken": int64(p.ReversedTaken),
		"clawed_back": int64(p.ClawedBack), "withheld": int64(p.Withheld), "granted": p.Granted, "granted_at": p.GrantedAt,
	})
	return err
}

// unspent is what is left of a lot: zero where there is none.
func unspent(ctx context.Context, tx pgx.Tx, userID, reference string) (creditcore.Amount, error) {
	var left int64
	// Spending is charged to lots late: first bring them up to date.
	_, err := tx.Exec(ctx, `
		SELECT `+functions.Schema+`.burn(user_id)
		FROM `+functions.Schema+`.account($1)`, userID)
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
