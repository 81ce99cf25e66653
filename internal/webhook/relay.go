package webhook

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
)

// relayBatch is how many messages one transaction gives the outbox, about.
const relayBatch = 1000

// noted is an event that is to be relayed.
type noted struct {
	ID       string
	Sequence int64
	Type     string
	Subject  string
}

// ticket is the body of a message of the outbox: which event is to be delivered.
type ticket struct {
	Event string `json:"event"`
}

// relayAll relays what is noted.
func (s *Service) relayAll(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := s.relay(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// relay gives the outbox a message for each endpoint that wants an event, in the order in
// which events were noted, and reports whether there may be more. Two that relayed at
// once could change the order: of several edges one does.
func (s *Service) relay(ctx context.Context) (more bool, err error) {
	queued := false
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		more, queued = false, false
		var mine bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('mana.webhook_events', 0))`).Scan(&mine); err != nil || !mine {
			return err
		}
		events, err := collect[noted](tx.Query(ctx,
			`SELECT v.id, v.sequence, v.type, v.subject
			 FROM mana.webhook_events AS v
			 WHERE v.relayed_at IS NULL
			 ORDER BY v.sequence
			 LIMIT $1`, relayBatch))
		if err != nil || len(events) == 0 {
			return err
		}
		// Whoever disables or deletes one waits, and finds the messages.
		endpoints, err := collect[Endpoint](tx.Query(ctx,
			`SELECT `+endpointColumns+` FROM mana.webhook_endpoints AS e WHERE e.disabled_at IS NULL ORDER BY e.id FOR SHARE`))
		if err != nil {
			return err
		}
		limit := relayBatch / max(1, len(endpoints))
		more = len(events) >= limit
		events = events[:min(len(events), limit)]
		var list []addressed
		sequences := make([]int64, len(events))
		for i, event := range events {
			sequences[i] = event.Sequence
			for _, e := range endpoints {
				if e.wants(event.Type) {
					list = append(list, addressed{e.ID, event})
				}
			}
		}
		if err := s.queueTx(ctx, tx, list); err != nil {
			return err
		}
		queued = len(list) > 0
		_, err = tx.Exec(ctx, `UPDATE mana.webhook_events SET relayed_at = now() WHERE sequence = ANY($1) AND relayed_at IS NULL`, sequences)
		return err
	})
	if err == nil && queued {
		s.box.Wake()
	}
	return more, err
}

// addressed is an event that an endpoint is to be told.
type addressed struct {
	endpointID string
	event      noted
}

// queueTx has the outbox deliver events, in this order.
func (s *Service) queueTx(ctx context.Context, tx pgx.Tx, list []addressed) error {
	messages := make([]outbox.Message, len(list))
	for i, q := range list {
		body, err := json.Marshal(ticket{q.event.ID})
		if err != nil {
			return err
		}
		messages[i] = outbox.Message{Channel: outbox.ChannelOf(Family, q.endpointID), Kind: q.event.Type, Body: body, Queue: q.event.Subject}
	}
	if err := s.box.Put(ctx, tx, messages...); err != nil {
		return err
	}
	var batch pgx.Batch
	for i, q := range list {
		batch.Queue(
			`INSERT INTO mana.webhook_deliveries AS d (endpoint_id, event_id, sequence, message_id)
			 VALUES ($1, $2, $3, $4)
			 ON CONFLICT (endpoint_id, event_id) DO UPDATE SET message_id = excluded.message_id, delivered_at = NULL`,
			q.endpointID, q.event.ID, q.event.Sequence, messages[i].ID)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// collect reads rows into structs.
func collect[T any](rows pgx.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// one fails with [ErrNotFound] where a statement found no row.
func one(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	return err
}

// NoteTx notes what happened, in the transaction of its cause and the scope of the
// system. Most is noted by triggers.
func NoteTx(ctx context.Context, tx pgx.Tx, typ, subject string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT mana.note_event($1, $2, $3)`, typ, subject, string(raw))
	return err
}
