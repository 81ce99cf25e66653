package audit

import (
	"context"
	"encoding/json"
	"time"

	"mana.how/edge/internal/dbscope"
)

// Entry is a row of auth.security_events. UserID is nil where no
// account is concerned; Email is that of the account today.
type Entry struct {
	ID        string
	Type      string
	UserID    *string
	Email     *string
	IPAddress *string
	UserAgent *string
	Metadata  json.RawMessage
	CreatedAt time.Time
}

// Query selects security events. Empty fields select all; Limit is 1 to
// 10 000, 200 where zero.
type Query struct {
	UserID string
	Type   string
	Types  []string // any of them
	Since  time.Time
	Before string // the id of an event: only older ones
	Limit  int
}

// List reads security events, the newest first.
func List(ctx context.Context, db dbscope.DB, q Query) ([]Entry, error) {
	if q.Limit <= 0 || q.Limit > 10_000 {
		q.Limit = 200
	}
	return dbscope.List[Entry](ctx, db, dbscope.System(),
		`SELECT `+entryColumns+`
		 FROM auth.security_events AS e
		 LEFT JOIN auth.users AS u ON u.id = e.user_id
		 WHERE ($1 = '' OR e.user_id = $1) AND ($2 = '' OR e.event_type = $2) AND ($6::text[] IS NULL OR e.event_type = ANY($6)) AND e.created_at >= $3
		   AND ($5 = '' OR (e.created_at, e.id) < (SELECT b.created_at, b.id FROM auth.security_events AS b WHERE b.id::text = $5 AND b.user_id = $1))
		 ORDER BY e.created_at DESC, e.id DESC
		 LIMIT $4`, q.UserID, q.Type, q.Since, q.Limit, q.Before, q.Types)
}
