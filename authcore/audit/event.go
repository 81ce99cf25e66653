// Package audit keeps what happened to accounts, and from where.
package audit

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// Event is a row of auth.security_events: what happened to an account, and
// from where. Metadata holds no secret.
type Event struct {
	Type     string
	UserID   string // empty where no account is concerned
	Client   principal.Client
	Metadata map[string]any
}

const insertEvent = `
	INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
	VALUES (NULLIF($1, ''), $2, NULLIF($3, ''), NULLIF($4, ''), $5)`

// Args are the columns user, type, network, agent and metadata of the row.
func (e Event) Args() []any {
	var metadata *string
	if len(e.Metadata) > 0 {
		if raw, err := json.Marshal(e.Metadata); err == nil {
			text := string(raw)
			metadata = &text
		}
	}
	return []any{e.UserID, e.Type, e.Client.Network(), e.Client.Agent(), metadata}
}

// RecordTx writes an event in the transaction of its cause, in the scope of the
// system.
func RecordTx(ctx context.Context, tx pgx.Tx, e Event) error {
	_, err := tx.Exec(ctx, insertEvent, e.Args()...)
	return err
}

// Record writes an event that stands alone, such as a failed sign-in.
func Record(ctx context.Context, db dbscope.DB, e Event) error {
	_, err := db.Exec(ctx, dbscope.System(), insertEvent, e.Args()...)
	return err
}

// Clip cuts text from a client to n bytes at a character's edge, and drops
// what PostgreSQL's text cannot hold.
func Clip(text string, n int) string {
	out := make([]rune, 0, min(len(text), n))
	size := 0
	for _, r := range text {
		if r == 0 || r == '\uFFFD' {
			continue
		}
		if size += len(string(r)); size > n {
			break
		}
		out = append(out, r)
	}
	return string(out)
}
