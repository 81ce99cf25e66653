package revocation

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// CutUserTx refuses every token the user holds now: the row raises their epoch
// (a trigger of auth.revocations).
func CutUserTx(ctx context.Context, tx pgx.Tx, userID, reason string) (Revocation, error) {
	list, err := tx.Query(ctx,
		`INSERT INTO auth.revocations (user_id, reason) VALUES ($1, $2) RETURNING `+Columns, userID, reason)
	if err != nil {
		return Revocation{}, err
	}
	return pgx.CollectExactlyOneRow(list, pgx.RowToStructByName[Revocation])
}

// Columns are those of auth.revocations that make a [Revocation].
const Columns = `id, user_id, session_id, epoch, reason, created_at`
