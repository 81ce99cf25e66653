package openid

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Logout is the session of a client that has ended (OpenID Connect Back-Channel
// Logout, section 2).
type Logout struct {
	SessionID string
	ClientID  string
	UserID    string
}

// LoggedOut are the clients of sessions that have ended and that nobody has taken.
func LoggedOut(ctx context.Context, db dbscope.DB) ([]string, error) {
	return dbscope.Texts(ctx, db, dbscope.System(), `SELECT DISTINCT l.client_id AS text FROM auth.oauth_logouts AS l`)
}

// TakeLogoutsTx takes up to limit of those that have ended and that nobody else takes,
// the oldest first.
func TakeLogoutsTx(ctx context.Context, tx pgx.Tx, limit int) ([]Logout, error) {
	rows, err := tx.Query(ctx,
		`DELETE FROM auth.oauth_logouts
		 WHERE session_id IN (
		   SELECT l.session_id FROM auth.oauth_logouts AS l ORDER BY l.created_at, l.session_id LIMIT $1 FOR UPDATE SKIP LOCKED)
		 RETURNING session_id, client_id, user_id`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Logout])
}
