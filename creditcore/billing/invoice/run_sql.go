package invoice

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// dueUsers are those with a month that has begun and is not granted.
func (s *Service) dueUsers(ctx context.Context) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		SELECT a.user_id AS text
		FROM subscriptions.allotments a
		WHERE a.granted IS NULL
			AND a.cut_credits + a.reversed_credits < a.credits
			AND a.starts_at <= $1
			AND `+functions.Schema+`.lives(a.user_id)
		GROUP BY a.user_id
		ORDER BY min(a.starts_at)
		LIMIT $2`, s.now(), runBatch)
}

// unpaidInvoices are those of ids that we have no row of, and those written
// since that we know as open, or as paid without anything for it: the admin may
// have named the plan's price meanwhile.
func (s *Service) unpaidInvoices(ctx context.Context, ids []string, since time.Time) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		SELECT id AS text
		FROM unnest($1::text[]) AS id
		WHERE NOT EXISTS (
			SELECT
			FROM subscriptions.invoices
			WHERE stripe_invoice_id = id
				AND status = 'paid'
		)
		UNION
		(
			SELECT stripe_invoice_id
			FROM subscriptions.invoices i
			WHERE created_at > $2
				AND status <> 'void'
				AND (status <> 'paid'
					OR amount_paid_euro_cents > 0
						AND NOT EXISTS (SELECT FROM subscriptions.allotments WHERE invoice_id = i.id)
						AND NOT EXISTS (SELECT FROM subscriptions.cuts WHERE invoice_id = i.id))
			ORDER BY updated_at
			LIMIT $3
		)`, ids, since, runBatch)
}
