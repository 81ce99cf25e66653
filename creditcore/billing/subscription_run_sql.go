package billing

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

// texts reads one column, named text.
func (s *Service) texts(ctx context.Context, sql string, args ...any) ([]string, error) {
	found, err := dbscope.List[struct{ Text string }](ctx, s.db, system(), sql, args...)
	list := make([]string, len(found))
	for i, f := range found {
		list[i] = f.Text
	}
	return list, err
}

// dueUsers are those with a month that has begun and is not granted.
func (s *Service) dueUsers(ctx context.Context) ([]string, error) {
	return s.texts(ctx, `
		SELECT a.user_id AS text
		FROM subscriptions.allotments a
		JOIN auth.users u ON u.id = a.user_id
		WHERE a.granted IS NULL
			AND a.cut_credits + a.reversed_credits < a.credits
			AND a.starts_at <= $1
			AND u.deleted_at IS NULL
		GROUP BY a.user_id
		ORDER BY min(a.starts_at)
		LIMIT $2`, s.now(), runBatch)
}

// orphans are users who are gone but have a subscription or an open checkout.
func (s *Service) orphans(ctx context.Context) ([]string, error) {
	return s.texts(ctx, `
		SELECT u.id AS text
		FROM auth.users u
		WHERE u.deleted_at IS NOT NULL
			AND u.id IN (
				SELECT user_id FROM subscriptions.subscriptions WHERE live
				UNION ALL
				SELECT user_id FROM subscriptions.checkouts WHERE expires_at > $1
			)
		ORDER BY random()
		LIMIT $2`, s.now(), runBatch)
}

func (s *Service) liveIDs(ctx context.Context, userID string) ([]string, error) {
	return s.texts(ctx, `
		SELECT stripe_subscription_id AS text
		FROM subscriptions.subscriptions
		WHERE user_id = $1
			AND live
			AND stripe_subscription_id IS NOT NULL`, userID)
}

// customerOf is empty where a user never was a customer. He may be gone.
func (s *Service) customerOf(ctx context.Context, userID string) (string, error) {
	found, err := s.texts(ctx, `
		SELECT stripe_customer_id AS text
		FROM credits.stripe_customers
		WHERE user_id = $1
			AND coalesce(livemode, $2) = $2`, userID, s.cfg.live())
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// unknownSubscriptions are those we have no row of.
func (s *Service) unknownSubscriptions(ctx context.Context, ids []string) ([]string, error) {
	return s.texts(ctx, `
		SELECT id AS text
		FROM unnest($1::text[]) AS id
		WHERE NOT EXISTS (SELECT FROM subscriptions.subscriptions WHERE stripe_subscription_id = id)`, ids)
}

// overdueSubscriptions are live ones whose period ended without our hearing.
func (s *Service) overdueSubscriptions(ctx context.Context) ([]string, error) {
	return s.texts(ctx, `
		SELECT stripe_subscription_id AS text
		FROM subscriptions.subscriptions
		WHERE live
			AND stripe_subscription_id IS NOT NULL
			AND current_period_end < $1
		ORDER BY updated_at
		LIMIT $2`, s.now().Add(-settling), runBatch)
}

// unpaidInvoices are those of ids that we have no row of, and those written
// since that we know as open, or as paid without anything for it: the admin may
// have named the plan's price meanwhile.
func (s *Service) unpaidInvoices(ctx context.Context, ids []string, since time.Time) ([]string, error) {
	return s.texts(ctx, `
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
