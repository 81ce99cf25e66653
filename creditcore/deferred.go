package creditcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Deferred is what is left of credits that were paid for: a lot, that of whoever was given
// them too, or a month of a subscription that is not due yet. The money for it is received and
// not earned.
type Deferred struct {
	Account   string // who has it; the id of a user, or org: and that of an organisation
	Source    Source // purchase or subscription
	Sale      string // the id of the purchase, or of Stripe's invoice
	PaidAt    *time.Time
	ExpiresAt *time.Time
	Sold      Amount // credits of the sale, or of the month, that were not taken back
	Left      Amount // of them, here
	// MilliCents is the share of what was paid and not paid back, in thousandths of a euro cent.
	MilliCents int64
}

// DeferredRevenue calls each with what is left of paid credits now, in the order of accounts
// and sales. What was spent and not charged to a lot yet is taken off as [Service.Lots] does.
// It fails with what each returns, or [ErrUnavailable].
func (s *Service) DeferredRevenue(ctx context.Context, each func(Deferred) error) error {
	return s.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		return stream(ctx, tx, each, deferredSQL)
	})
}

// deferredSQL goes from each lot of paid credits to the one that was sold: that of the giver
// where they came as a gift, or whose time they outlived. What a gift holds that nobody has
// opened is its giver's.
const deferredSQL = `
WITH RECURSIVE unspent AS (
	SELECT l.id, l.user_id, l.source, l.expires_at, least(l.remaining, l.upto - l.unburnt)::bigint AS remaining
	FROM (
		SELECT l.*, b.unburnt, sum(l.remaining) OVER (PARTITION BY l.user_id
			ORDER BY l.priority, l.expires_at NULLS LAST, l.promotional DESC, l.sequence, l.id) AS upto
		FROM credits.lots AS l JOIN credits.balances AS b ON b.user_id = l.user_id
		WHERE l.remaining > 0
	) AS l
	WHERE l.upto > l.unburnt
UNION ALL
	SELECT l.id, l.user_id, l.source, l.expires_at, d.amount - d.passed_on - d.returned
	FROM credits.draws AS d JOIN credits.lots AS l ON l.id = d.lot_id
	WHERE d.amount > d.passed_on + d.returned
), ancestry AS (
	SELECT u.*, l.parent, l.reference FROM unspent AS u JOIN credits.lots AS l ON l.id = u.id WHERE NOT l.promotional
UNION ALL
	SELECT a.id, a.user_id, a.source, a.expires_at, a.remaining, l.parent, l.reference
	FROM ancestry AS a JOIN credits.lots AS l ON l.id = a.parent
), sold AS (
	SELECT user_id, source, expires_at, remaining, reference FROM ancestry WHERE parent IS NULL
), months AS (
	SELECT a.id, a.user_id, i.stripe_invoice_id, i.paid_at, a.granted, a.credits - a.cut_credits - a.reversed_credits AS credits,
	       greatest(i.amount_paid_euro_cents - i.reversed_euro_cents, 0) AS cents,
	       sum(a.credits - a.cut_credits - a.reversed_credits) OVER (PARTITION BY a.invoice_id) AS of_invoice
	FROM subscriptions.allotments AS a JOIN subscriptions.invoices AS i ON i.id = a.invoice_id
)
SELECT account, source, sale, paid_at, expires_at, sold::bigint AS sold, "left",
       coalesce(round(1000.0 * cents * "left" / nullif(sold, 0)), 0)::bigint AS milli_cents
FROM (
	SELECT s.user_id AS account, s.source::text AS source, p.id AS sale, p.completed_at AS paid_at, s.expires_at, p.credits - p.reversed_credits AS sold, s.remaining AS "left",
	       (p.price_euro_cents - p.reversed_euro_cents)::numeric AS cents
	FROM sold AS s JOIN credits.purchases AS p ON s.reference = 'purchase:' || p.id
UNION ALL
	SELECT s.user_id, s.source::text, m.stripe_invoice_id, m.paid_at, s.expires_at, m.credits, s.remaining, m.cents * m.credits / nullif(m.of_invoice, 0)
	FROM sold AS s JOIN months AS m ON s.reference = 'invoice:' || m.stripe_invoice_id || ':' || m.id
UNION ALL
	SELECT m.user_id, 'subscription', m.stripe_invoice_id, m.paid_at, NULL, m.credits, m.credits, m.cents * m.credits / nullif(m.of_invoice, 0)
	FROM months AS m WHERE m.granted IS NULL AND m.credits > 0
) AS s
ORDER BY account COLLATE "C", paid_at NULLS LAST, sale COLLATE "C", expires_at NULLS LAST`
