package creditcore

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

// Lot is what is left of credits that came in together. ExpiresAt is nil for
// those that have no end. Of what is left then, up to RollsOver lives on until
// RollsTo, of all lots with that time together; nil where nothing does.
type Lot struct {
	Source    Source
	Remaining Amount
	CreatedAt time.Time
	ExpiresAt *time.Time
	RollsOver *Amount
	RollsTo   *time.Time
}

// mostLots bounds a list of them.
const mostLots = 100

// Lots lists what the caller's credits are made of, in the order of their use, a
// hundred at most. What was spent and not charged to a lot yet is taken off in
// that order, as credits.burn does.
func (s *Service) Lots(ctx context.Context, c Caller) ([]Lot, error) {
	return dbscope.List[Lot](ctx, s.db, c.scope(),
		`SELECT l.source, least(l.remaining, l.upto - l.unburnt)::bigint AS remaining, l.created_at, l.expires_at, l.rolls_over, l.rolls_to
		 FROM (
			SELECT l.*, b.unburnt,
			       sum(l.remaining) OVER (ORDER BY l.priority, l.expires_at NULLS LAST, l.promotional DESC, l.sequence, l.id) AS upto
			FROM credits.lots AS l
			JOIN credits.balances AS b ON b.user_id = l.user_id
			WHERE l.user_id = $1 AND l.remaining > 0
		 ) AS l
		 WHERE l.upto > l.unburnt
		 ORDER BY l.priority, l.expires_at NULLS LAST, l.promotional DESC, l.sequence, l.id
		 LIMIT $2`, c.Account(), mostLots)
}
