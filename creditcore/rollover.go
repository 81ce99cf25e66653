package creditcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// RollOver lets what is left of credits of a subscription live on when they end.
type RollOver struct {
	UserID string // the account
	// UpTo bounds what lives on, of all that ends before Until together.
	UpTo Amount
	// Until is the new end.
	Until time.Time
}

// RollOverTx lets credits of a subscription that the account was granted, and that
// end before a later time, live on until then, up to a bound. How much that is shows
// when they end; of several lots the newest live on first. What came by a gift, or
// came back late, ends as it would. A later call takes the place of an earlier one.
func (s *Service) RollOverTx(ctx context.Context, tx pgx.Tx, r RollOver) error {
	if r.UpTo <= 0 {
		return nil
	}
	if _, err := s.lockTx(ctx, tx, r.UserID); err != nil {
		return dbError(err)
	}
	_, err := tx.Exec(ctx,
		`UPDATE credits.lots
		 SET rolls_over = $2, rolls_to = $3
		 WHERE user_id = $1 AND source = 'subscription' AND parent IS NULL
		   AND expires_at > clock_timestamp() AND expires_at < $3`, r.UserID, int64(r.UpTo), r.Until)
	return dbError(err)
}
