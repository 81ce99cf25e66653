package billing

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/dbscope"
)

// eventsKept is how long event ids are remembered: longer than Stripe repeats
// a delivery by itself or by hand (30 days).
const eventsKept = 90 * 24 * time.Hour

// eventKnown spares the questions to Stripe that a duplicate would cause. What
// counts is [recordEvent].
func (s *Service) eventKnown(ctx context.Context, id string) (bool, error) {
	found, err := dbscope.List[struct{ ID string }](ctx, s.db, system(), `
		SELECT id
		FROM credits.stripe_events
		WHERE id = $1`, id)
	return len(found) > 0, err
}

// recordEvent remembers an event and reports whether it is new. A twin that is
// being applied elsewhere is waited for.
func recordEvent(ctx context.Context, tx pgx.Tx, event stripe.Event, outcome string) (bool, error) {
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(event.Data.Raw, &object) != nil || !storable(object.ID) {
		object.ID = "" // none to remember
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO credits.stripe_events (id, type, object_id, livemode, outcome, created_at)
		VALUES ($1, $2, nullif($3, ''), $4, $5, $6)
		ON CONFLICT (id) DO NOTHING`,
		event.ID, string(event.Type), object.ID, event.Livemode, outcome, time.Unix(event.Created, 0))
	return tag.RowsAffected() == 1, err
}

// forget drops old events, and the addresses of customers who closed their
// accounts.
func (s *Service) forget(ctx context.Context) error {
	_, events := s.db.Exec(ctx, system(), `
		DELETE FROM credits.stripe_events
		WHERE received_at < $1`, s.now().Add(-eventsKept))
	_, addresses := s.db.Exec(ctx, system(), `
		UPDATE credits.stripe_customers c
		SET email = NULL, updated_at = $1
		FROM auth.users u
		WHERE u.id = c.user_id
			AND u.deleted_at IS NOT NULL
			AND c.email IS NOT NULL`, s.now())
	return errors.Join(events, addresses)
}
