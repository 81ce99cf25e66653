package gift

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// maxBreaches bounds what an audit lists.
const maxBreaches = 1000

// Audit checks in one snapshot that every gift's reservation is what was
// claimed, came back, or is left. [creditcore.Service.Audit] checks the ledger
// itself.
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
WITH claimed AS (
	SELECT gift_code_id, count(*) AS portions, sum(credits_received) AS credits
	FROM gifts.gift_redemptions WHERE status = 'success' GROUP BY gift_code_id
), returned AS (
	SELECT reverses, sum(amount) AS credits FROM credits.transactions WHERE reverses IS NOT NULL GROUP BY reverses
), gift AS (
	SELECT g.*, -t.amount AS reserved, coalesce(c.portions, 0) AS portions, coalesce(c.credits, 0) AS received,
	       coalesce(r.credits, 0) AS returned, (g.total_portions - g.claimed_portions) * g.credits_per_portion AS unclaimed
	FROM gifts.gift_codes AS g
	LEFT JOIN credits.transactions AS t ON t.id = g.reservation_transaction_id
	LEFT JOIN claimed AS c ON c.gift_code_id = g.id
	LEFT JOIN returned AS r ON r.reverses = g.reservation_transaction_id
)
SELECT * FROM (
	SELECT 'a gift was paid for' AS invariant, creator_id AS user_id, format('gift %s of %s, reserved %s', id, total_credits, reserved) AS detail
	FROM gift WHERE reserved <> total_credits
UNION ALL
	SELECT 'a claimed portion has its redemption', creator_id, format('gift %s: claimed %s, redemptions %s', id, claimed_portions, portions)
	FROM gift WHERE portions <> claimed_portions OR received <> claimed_portions * credits_per_portion
UNION ALL
	SELECT 'what nobody claimed came back', creator_id, format('gift %s, %s: unclaimed %s, returned %s', id, status, unclaimed, returned)
	FROM gift
	WHERE reserved IS NOT NULL AND returned <> CASE WHEN status IN ('expired', 'cancelled', 'refunded') THEN unclaimed ELSE 0 END
UNION ALL
	SELECT 'a gift keeps the lots of what nobody claimed', g.creator_id, format('gift %s, %s: unclaimed %s, lots of %s', g.id, g.status, g.unclaimed, d.kept)
	FROM gift AS g
	JOIN (
		SELECT transaction_id, sum(amount - passed_on - returned) AS kept FROM credits.draws GROUP BY transaction_id
	) AS d ON d.transaction_id = g.reservation_transaction_id
	WHERE d.kept <> CASE WHEN g.status = 'active' THEN g.unclaimed ELSE 0 END
UNION ALL
	SELECT 'a redemption has its ledger row', r.redeemer_user_id, r.id
	FROM gifts.gift_redemptions AS r JOIN credits.transactions AS t ON t.id = r.credit_transaction_id
	WHERE t.amount <> r.credits_received OR t.user_id <> r.redeemer_user_id OR t.type <> 'gift'
) AS breaches
ORDER BY invariant, user_id
LIMIT $1`
