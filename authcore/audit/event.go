// Package audit keeps what happened to accounts, and from where.
package audit

import (
	"context"
	"encoding/json"
	"maps"

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
	// By is who did it, where that is not the account's owner.
	By principal.Operator
}

// AdminAction is the type of the event of an admin's own account that says what
// they did to another one.
const AdminAction = "admin_action"

const insertEvent = `
	INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
	VALUES (NULLIF($1, ''), $2, NULLIF($3, ''), NULLIF($4, ''), $5)`

// Args are the columns user, type, network, agent and metadata of the row.
func (e Event) Args() []any {
	var metadata *string
	if told := e.metadata(); len(told) > 0 {
		if raw, err := json.Marshal(told); err == nil {
			text := string(raw)
			metadata = &text
		}
	}
	return []any{e.UserID, e.Type, e.Client.Network(), e.Client.Agent(), metadata}
}

// metadata are those of the event and who did it.
func (e Event) metadata() map[string]any {
	if e.By.Name == "" {
		return e.Metadata
	}
	told := map[string]any{"operator": e.By.Name}
	if e.By.Reason != "" {
		told["reason"] = e.By.Reason
	}
	maps.Copy(told, e.Metadata)
	return told
}

// RecordTx writes an event in the transaction of its cause, in the scope of the
// system, and the admin's own where one did it.
func RecordTx(ctx context.Context, tx pgx.Tx, e Event) error {
	if _, err := tx.Exec(ctx, insertEvent, e.Args()...); err != nil {
		return err
	}
	return RecordAdminTx(ctx, tx, e)
}

// Recorder writes the event, with what else is known by then, in the transaction of
// its cause, as [RecordTx] does. It is for who hands the transaction to somebody else.
func (e Event) Recorder() func(ctx context.Context, tx pgx.Tx, about map[string]any) error {
	return func(ctx context.Context, tx pgx.Tx, about map[string]any) error {
		told := maps.Clone(about)
		maps.Copy(told, e.Metadata)
		e.Metadata = told
		return RecordTx(ctx, tx, e)
	}
}

// RecordAdminTx writes that an admin did what the event says, to the admin's own
// account. It writes nothing where nobody else did it.
func RecordAdminTx(ctx context.Context, tx pgx.Tx, e Event) error {
	if e.By.UserID == "" {
		return nil
	}
	done := map[string]any{"action": e.Type, "userId": e.UserID}
	maps.Copy(done, e.Metadata)
	if e.By.Reason != "" {
		done["reason"] = e.By.Reason
	}
	_, err := tx.Exec(ctx, insertEvent, Event{Type: AdminAction, UserID: e.By.UserID, Client: e.By.Client, Metadata: done}.Args()...)
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
