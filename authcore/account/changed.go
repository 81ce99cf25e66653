package account

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Channel carries the ids of users of whom something has changed that edges keep in
// memory.
const Channel = "mana_users"

// ChangedTx tells every edge, once the transaction commits, that something of a user
// has changed that it may have in memory.
func ChangedTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `SELECT pg_notify('`+Channel+`', $1)`, userID)
	return err
}
