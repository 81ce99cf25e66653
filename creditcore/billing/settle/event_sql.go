package settle

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/dbscope"
)

// known spares the questions to Stripe that a duplicate would cause. What
// counts is [record].
func (e *Events) known(ctx context.Context, id string) (bool, error) {
	found, err := dbscope.List[struct{ ID string }](ctx, e.db, dbscope.System(), `
		SELECT id
		FROM credits.stripe_events
		WHERE id = $1`, id)
	return len(found) > 0, err
}

// record remembers an event and reports whether it is new. A twin that is
// being applied elsewhere is waited for.
func record(ctx context.Context, tx pgx.Tx, event stripe.Event, outcome Outcome) (bool, error) {
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(event.Data.Raw, &object) != nil || !Storable(object.ID) {
		object.ID = "" // none to remember
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO credits.stripe_events (id, type, object_id, livemode, outcome, created_at)
		VALUES (@id, @type, nullif(@object_id, ''), @livemode, @outcome, @created_at)
		ON CONFLICT (id) DO NOTHING`, pgx.StrictNamedArgs{
		"id": event.ID, "type": string(event.Type), "object_id": object.ID, "livemode": event.Livemode,
		"outcome": outcome, "created_at": time.Unix(event.Created, 0),
	})
	return tag.RowsAffected() == 1, err
}

// Forget drops the ids of old events.
func (e *Events) Forget(ctx context.Context, now time.Time) error {
	_, err := e.db.Exec(ctx, dbscope.System(), `
		DELETE FROM credits.stripe_events
		WHERE received_at < $1`, now.Add(-eventsKept))
	return err
}
