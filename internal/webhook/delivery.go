package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// The states of a delivery.
const (
	Waiting   = "waiting" // for its first try, another one, or one before it
	Delivered = "delivered"
	GivenUp   = "givenUp"
)

// Delivery is an event on its way to an endpoint.
type Delivery struct {
	EventID    string
	Sequence   int64 // the order in which events were noted
	Type       string
	Subject    string
	Data       json.RawMessage
	CreatedAt  time.Time // when it happened
	Tries      int
	LastTryAt  *time.Time
	LastAnswer string // of the endpoint, or why there was none
	State      string
	NextTryAt  *time.Time // of one that waits
}

// A message that is gone was given up and pruned.
const deliveriesSQL = `
	SELECT d.event_id, d.sequence, v.type, v.subject, v.data, v.created_at, d.tries, d.last_try_at, d.last_answer,
	       CASE WHEN d.delivered_at IS NOT NULL THEN 'delivered'
	            WHEN o.id IS NULL OR o.dead_at IS NOT NULL THEN 'givenUp'
	            ELSE 'waiting' END AS state,
	       CASE WHEN d.delivered_at IS NULL AND o.dead_at IS NULL THEN o.due_at END AS next_try_at
	FROM mana.webhook_deliveries AS d
	JOIN mana.webhook_events AS v ON v.id = d.event_id
	LEFT JOIN mana.outbox AS o ON o.id = d.message_id
	WHERE d.endpoint_id = $1 AND ($2::bigint = 0 OR d.sequence < $2::bigint)
	ORDER BY d.sequence DESC
	LIMIT $3`

// Deliveries lists what an endpoint was told, the newest event first: of those before a
// sequence, where it is not 0. limit is at least 1.
func (s *Service) Deliveries(ctx context.Context, endpointID string, before int64, limit int) ([]Delivery, error) {
	return dbscope.List[Delivery](ctx, s.db, dbscope.System(), deliveriesSQL, endpointID, before, limit)
}

// replayBatch bounds how many events [Service.ReplayTx] takes at once.
const replayBatch = 1000

// ReplayTx has events delivered again under their own ids, in the order in which they
// happened, and returns how many: the one that is named, or where that is empty those
// since a time that were not delivered and do not wait, up to 1000, also those that
// happened while the endpoint was disabled. It fails with [ErrNotFound], [ErrDisabled]
// or [ErrNoDelivery]. Call [Service.Wake] after the commit.
func (s *Service) ReplayTx(ctx context.Context, tx pgx.Tx, endpointID, eventID string, since time.Time) (int, error) {
	e, err := collect[Endpoint](tx.Query(ctx, `SELECT `+endpointColumns+` FROM mana.webhook_endpoints AS e WHERE e.id = $1 FOR UPDATE`, endpointID))
	switch {
	case err != nil:
		return 0, err
	case len(e) == 0:
		return 0, ErrNotFound
	case e[0].DisabledAt != nil:
		return 0, ErrDisabled
	}
	events, err := collect[noted](tx.Query(ctx,
		`SELECT v.id, v.sequence, v.type, v.subject
		 FROM mana.webhook_events AS v
		 LEFT JOIN mana.webhook_deliveries AS d ON d.endpoint_id = $1 AND d.event_id = v.id
		 LEFT JOIN mana.outbox AS o ON o.id = d.message_id AND o.sent_at IS NULL AND o.dead_at IS NULL
		 WHERE v.relayed_at IS NOT NULL AND o.id IS NULL
		   AND CASE WHEN $2 <> '' THEN v.id = $2 AND d.event_id IS NOT NULL
		            ELSE v.created_at >= $3 AND d.delivered_at IS NULL
		              AND (d.event_id IS NOT NULL OR v.type <> $6 AND (cardinality($4::text[]) = 0 OR v.type = ANY($4))) END
		 ORDER BY v.sequence
		 LIMIT $5`, endpointID, eventID, since, e[0].Types, replayBatch, TypeTest))
	if err != nil {
		return 0, err
	}
	if eventID != "" && len(events) == 0 {
		return 0, ErrNoDelivery
	}
	list := make([]addressed, len(events))
	for i, event := range events {
		list[i] = addressed{endpointID, event}
	}
	return len(events), s.queueTx(ctx, tx, list)
}

// TestTx has an endpoint told a [TypeTest]. It fails with [ErrNotFound] or [ErrDisabled].
func (s *Service) TestTx(ctx context.Context, tx pgx.Tx, endpointID string) error {
	var disabled bool
	err := tx.QueryRow(ctx, `SELECT e.disabled_at IS NOT NULL FROM mana.webhook_endpoints AS e WHERE e.id = $1 FOR SHARE`, endpointID).Scan(&disabled)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case disabled:
		return ErrDisabled
	}
	event := noted{Type: TypeTest, Subject: endpointID}
	err = tx.QueryRow(ctx,
		`INSERT INTO mana.webhook_events (type, subject, data, relayed_at)
		 VALUES ($1, $2, jsonb_build_object('endpointId', $2::text), now())
		 RETURNING id, sequence`, event.Type, event.Subject).Scan(&event.ID, &event.Sequence)
	if err != nil {
		return err
	}
	return s.queueTx(ctx, tx, []addressed{{endpointID, event}})
}

// Wake has what was queued delivered at once.
func (s *Service) Wake() { s.box.Wake() }

const pruneEvents = `
	DELETE FROM mana.webhook_events
	WHERE id IN (
	  SELECT v.id
	  FROM mana.webhook_events AS v
	  WHERE v.created_at < now() - make_interval(secs => $1) AND v.relayed_at IS NOT NULL
	    AND NOT EXISTS (
	      SELECT
	      FROM mana.webhook_deliveries AS d
	      JOIN mana.outbox AS o ON o.id = d.message_id
	      WHERE d.event_id = v.id AND o.sent_at IS NULL AND o.dead_at IS NULL)
	  ORDER BY v.created_at
	  LIMIT $2)`

// prune removes events that are older than they are kept, with their deliveries, but for
// those that wait.
func (s *Service) prune(ctx context.Context) error {
	_, err := s.db.Prune(ctx, "prune mana.webhook_events", pruneEvents, s.cfg.Retention.Seconds())
	return err
}
