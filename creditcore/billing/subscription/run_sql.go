package subscription

import (
	"context"

	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/internal/dbscope"
)

// orphans are the accounts of users and organisations that are gone but have a
// subscription or an open checkout.
func (s *Service) orphans(ctx context.Context) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		WITH paying AS (
			SELECT user_id FROM subscriptions.subscriptions WHERE live
			UNION ALL
			SELECT user_id FROM subscriptions.checkouts WHERE expires_at > $1
		), gone AS (
			SELECT u.id
			FROM auth.users u
			WHERE u.deleted_at IS NOT NULL
				AND u.id IN (SELECT user_id FROM paying)
			UNION
			SELECT c.account_id
			FROM credits.closed_accounts c
			WHERE c.account_id IN (SELECT user_id FROM paying)
		)
		SELECT id AS text
		FROM gone
		ORDER BY random()
		LIMIT $2`, s.now(), jobBatch)
}

func (s *Service) liveIDs(ctx context.Context, userID string) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		SELECT stripe_subscription_id AS text
		FROM subscriptions.subscriptions
		WHERE user_id = $1
			AND live
			AND stripe_subscription_id IS NOT NULL`, userID)
}

// unknownSubscriptions are those we have no row of.
func (s *Service) unknownSubscriptions(ctx context.Context, ids []string) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		SELECT id AS text
		FROM unnest($1::text[]) AS id
		WHERE NOT EXISTS (SELECT FROM subscriptions.subscriptions WHERE stripe_subscription_id = id)`, ids)
}

// overdueSubscriptions are live ones whose period ended without our hearing.
func (s *Service) overdueSubscriptions(ctx context.Context) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `
		SELECT stripe_subscription_id AS text
		FROM subscriptions.subscriptions
		WHERE live
			AND stripe_subscription_id IS NOT NULL
			AND current_period_end < $1
		ORDER BY updated_at
		LIMIT $2`, s.now().Add(-settle.EventDelay), jobBatch)
}
