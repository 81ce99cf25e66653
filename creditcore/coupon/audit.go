package coupon

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// maxBreaches bounds what an audit lists.
const maxBreaches = 1000

// Audit checks in one snapshot that every coupon and every trial gave what it says,
// as promotional credits, and no more often than it may, and that all others of these
// come from the wallet of a guest or are the credits of a day.
// [creditcore.Service.Audit] checks the ledger itself.
func (s *Service) Audit(ctx context.Context) (breaches []creditcore.Breach, err error) {
	err = s.db.Survey(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, auditSQL, maxBreaches)
		if err != nil {
			return err
		}
		breaches, err = pgx.CollectRows(found, pgx.RowToStructByName[creditcore.Breach])
		return err
	})
	return breaches, err
}

const auditSQL = `
WITH given AS (
	SELECT r.id, r.user_id, r.amount, r.transaction_id, 'coupon:' || r.coupon_id AS reference FROM credits.coupon_redemptions AS r
UNION ALL
	SELECT 'trial of ' || t.user_id, t.user_id, t.amount, t.transaction_id, 'trial' FROM credits.trials AS t WHERE t.state = 'given'
UNION ALL
	SELECT 'guest wallet of ' || o.user_id, o.user_id, o.amount, o.transaction_id, 'guest' FROM credits.guest_promises AS o WHERE o.state = 'given'
)
SELECT * FROM (
	SELECT 'what a coupon, a trial or a guest gave has its ledger row' AS invariant, g.user_id, g.id AS detail
	FROM given AS g JOIN credits.transactions AS t ON t.id = g.transaction_id
	WHERE t.amount <> g.amount OR t.user_id <> g.user_id OR t.type <> 'gift'
UNION ALL
	SELECT 'what a coupon, a trial or a guest gave is promotional', g.user_id, g.id
	FROM given AS g
	LEFT JOIN credits.lots AS l ON l.transaction_id = g.transaction_id AND l.user_id = g.user_id
	WHERE l.id IS NULL OR l.source <> 'promotion' OR l.granted <> g.amount OR l.reference IS DISTINCT FROM g.reference
UNION ALL
	SELECT 'promotional credits come from a coupon, a trial, a guest or a day', l.user_id, l.id
	FROM credits.lots AS l LEFT JOIN given AS g ON g.transaction_id = l.transaction_id
	WHERE l.source = 'promotion' AND l.parent IS NULL AND g.id IS NULL
	  AND NOT EXISTS (SELECT FROM credits.transactions AS t WHERE t.id = l.transaction_id AND starts_with(t.internal_key, 'daily:'))
UNION ALL
	SELECT 'a coupon counts its redemptions', '', format('coupon %s: counted %s, redemptions %s', c.id, c.redeemed, coalesce(r.n, 0))
	FROM credits.coupons AS c
	LEFT JOIN (SELECT coupon_id, count(*) AS n FROM credits.coupon_redemptions GROUP BY coupon_id) AS r ON r.coupon_id = c.id
	WHERE c.redeemed <> coalesce(r.n, 0)
UNION ALL
	SELECT 'domains have no more than was redeemed', '', format('%s: domains %s, redemptions %s', d.coupon_id, d.n, coalesce(c.redeemed, t.n))
	FROM (SELECT coupon_id, sum(redeemed) AS n FROM credits.coupon_domains GROUP BY coupon_id) AS d
	CROSS JOIN (SELECT count(*) AS n FROM credits.trials WHERE state = 'given') AS t
	LEFT JOIN credits.coupons AS c ON c.id = d.coupon_id
	WHERE d.n > coalesce(c.redeemed, t.n)
) AS breaches
ORDER BY invariant, user_id
LIMIT $1`
