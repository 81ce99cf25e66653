package dbscope

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// PruneBatch is how many rows one statement of [DB.Prune] removes at most: few
// enough that nobody waits for their locks.
const PruneBatch = 1000

// Prune repeats a statement that removes old rows, each time in a transaction
// of its own, until it finds fewer than [PruneBatch]; it returns how many went.
// The statement takes the greatest number of rows as its last argument.
//
// name is an advisory lock of the database: of several edges that prune the
// same rows one does, and the others find nothing to do.
func (db DB) Prune(ctx context.Context, name, sql string, args ...any) (int64, error) {
	args = append(args, PruneBatch)
	var total int64
	for ctx.Err() == nil {
		var removed int64
		err := db.InTx(ctx, System(), func(ctx context.Context, tx pgx.Tx) error {
			var mine bool
			if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))`, name).Scan(&mine); err != nil || !mine {
				return err
			}
			tag, err := tx.Exec(ctx, sql, args...)
			removed = tag.RowsAffected()
			return err
		})
		total += removed
		if err != nil || removed < PruneBatch {
			return total, err
		}
	}
	return total, ctx.Err()
}
