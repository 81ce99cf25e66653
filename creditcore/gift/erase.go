package gift

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// EraseTx takes out of all gifts what a user who leaves wrote or is named by:
// their messages, and their address. A gift that waits for that address is
// nobody's then, and goes back when its time is over. The codes and credits of
// their gifts remain.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID, email string) error {
	_, err := tx.Exec(ctx,
		`UPDATE gifts.gift_codes
		 SET message = CASE WHEN creator_id = $1 THEN NULL ELSE message END,
		   riddle_question = CASE WHEN creator_id = $1 AND status <> 'active' THEN NULL ELSE riddle_question END,
		   riddle_answer_hash = CASE WHEN creator_id = $1 AND status <> 'active' THEN NULL ELSE riddle_answer_hash END,
		   target_email = CASE
		     WHEN target_email = $2 THEN 'deleted-' || lower($1) || '@deleted.invalid'
		     WHEN status <> 'active' THEN NULL
		     ELSE target_email END
		 WHERE creator_id = $1 OR target_email = $2`, userID, email)
	return err
}
