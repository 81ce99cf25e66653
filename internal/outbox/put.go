package outbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// asSystem takes on mana_system for what follows in the transaction, whatever
// its scope, and asBefore takes that on again. A transaction that fails between
// them ends, and the role with it.
const (
	remember = `SELECT set_config('mana.outbox_role', current_setting('role'), true)`
	asSystem = `SELECT set_config('role', 'mana_system', true)`
	asBefore = `SELECT set_config('role', current_setting('mana.outbox_role'), true)`
)

const insertMessage = `
	INSERT INTO mana.outbox (id, channel, kind, user_id, body, due_at, give_up_at)
	VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $7), now() + make_interval(secs => $6))`

// What is put into a queue whose first message waits for another try waits with it.
const insertQueued = `
	INSERT INTO mana.outbox (id, channel, kind, user_id, body, due_at, give_up_at, queue, position)
	VALUES ($1, $2, $3, $4, $5,
	  greatest(now() + make_interval(secs => $7), (
	    SELECT p.due_at
	    FROM mana.outbox AS p
	    WHERE p.channel = $2 AND p.queue = $8 AND p.sent_at IS NULL AND p.dead_at IS NULL AND p.leased_until IS NULL
	    ORDER BY p.position
	    LIMIT 1)),
	  now() + make_interval(secs => $6), $8, nextval('mana.outbox_position'))`

// Put writes messages in the transaction of their cause, in one round trip. The
// scope of the transaction may be any, and holds afterwards: a user's may write
// messages, and reads none. Attempts and CreatedAt are not the caller's; ID is
// written into m.
//
// An error leaves the transaction to be rolled back.
func (b *Box) Put(ctx context.Context, tx pgx.Tx, m ...Message) error {
	if len(m) == 0 {
		return nil
	}
	var batch pgx.Batch
	batch.Queue(remember)
	batch.Queue(asSystem)
	for i, message := range m {
		if b.deliverOf(message.Channel) == nil || message.Kind == "" {
			return fmt.Errorf("put a message into the outbox: no channel %q, or no kind %q", message.Channel, message.Kind)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("name a message of the outbox: %w", err)
		}
		sealed, err := b.cfg.Sealer.Seal(message.Body, []byte(id.String()))
		if err != nil {
			return fmt.Errorf("seal a message of the outbox: %w", err)
		}
		m[i].ID = id.String()
		args := []any{m[i].ID, message.Channel, message.Kind, dbscope.NullText(message.UserID), sealed, b.cfg.GiveUp.Seconds(), message.After.Seconds()}
		if message.Queue == "" {
			batch.Queue(insertMessage, args...)
		} else {
			batch.Queue(insertQueued, append(args, message.Queue)...)
		}
	}
	batch.Queue(asBefore)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("put a message into the outbox: %w", err)
	}
	return nil
}

// Settle notes that what waits for a user in a channel, of a kind, was delivered
// by other means.
func (b *Box) Settle(ctx context.Context, channel, kind, userID string) error {
	_, err := b.cfg.DB.Exec(ctx, dbscope.System(),
		`UPDATE mana.outbox SET sent_at = now(), body = '', leased_until = NULL, last_error = NULL
		 WHERE channel = $1 AND kind = $2 AND user_id = $3 AND sent_at IS NULL AND dead_at IS NULL`, channel, kind, userID)
	return err
}
