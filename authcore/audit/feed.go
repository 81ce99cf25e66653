package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

const (
	// feedID is the row of auth.verification that says how far security events
	// were handed on, and by whom: identifier is the edge, value the position.
	feedID = "security-events-feed"
	// feedLease is how long an edge may take to hand a batch on before another does.
	feedLease = 30 * time.Second
	// feedLag is how old an event is before it is handed on. Events are read in
	// the order of their time, which is that of the beginning of their
	// transaction: what commits later than this after it began would be passed by.
	feedLag = 10 * time.Second
	// feedBatch is how many events are handed on at once.
	feedBatch = 200
)

// Position is how far security events were handed on.
type Position struct {
	At time.Time `json:"at"`
	ID string    `json:"id"`
}

// Fed is a security event as it is handed on to others.
type Fed struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Time      time.Time       `json:"time"`
	UserID    *string         `json:"userId,omitempty"`
	IPAddress *string         `json:"ipAddress,omitempty"`
	UserAgent *string         `json:"userAgent,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
}

// Position is where the feed goes on after the event.
func (f Fed) Position() Position { return Position{f.Time, f.ID} }

// Feed hands security events on, each at least once, in the order of their time.
// Of several edges one does it at a time; where it dies another goes on.
type Feed struct {
	DB dbscope.DB
	// Edge names this process.
	Edge string
	// Lag is how old an event is before it is handed on; zero is ten seconds.
	Lag time.Duration
}

// claimSQL takes the feed, unless another edge has it and was heard of lately.
// The first edge ever begins with what happens from then on.
const claimSQL = `
	INSERT INTO auth.verification AS v (id, identifier, value, expires_at)
	VALUES ($1, $2, jsonb_build_object('at', now(), 'id', '00000000-0000-0000-0000-000000000000')::text, now() + interval '100 years')
	ON CONFLICT (id) DO UPDATE SET identifier = $2, updated_at = now()
	WHERE v.identifier = $2 OR v.updated_at < now() - make_interval(secs => $3)
	RETURNING value`

const nextSQL = `
	SELECT id::text AS id, event_type AS type, created_at AS time, user_id, ip_address, user_agent, metadata
	FROM auth.security_events
	WHERE created_at >= $1 AND (created_at, id) > ($1, $2::text::uuid) AND created_at < now() - make_interval(secs => $3)
	ORDER BY created_at, id
	LIMIT $4`

const advanceSQL = `
	UPDATE auth.verification SET value = $3, updated_at = now() WHERE id = $1 AND identifier = $2`

// Next returns the events that follow, the oldest first, and nothing where there
// are none or another edge hands them on.
func (f Feed) Next(ctx context.Context) ([]Fed, error) {
	value, err := dbscope.One[struct{ Value string }](ctx, f.DB, dbscope.System(), claimSQL, feedID, f.Edge, feedLease.Seconds())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var from Position
	if err := json.Unmarshal([]byte(value.Value), &from); err != nil {
		return nil, fmt.Errorf("read how far security events were handed on: %w", err)
	}
	lag := f.Lag
	if lag == 0 {
		lag = feedLag
	}
	return dbscope.List[Fed](ctx, f.DB, dbscope.System(), nextSQL, from.At, from.ID, lag.Seconds(), feedBatch)
}

// Advance notes that events were handed on up to a position. Where another edge
// has taken the feed meanwhile nothing changes: it hands them on again.
func (f Feed) Advance(ctx context.Context, to Position) error {
	value, err := json.Marshal(to)
	if err != nil {
		return err
	}
	_, err = f.DB.Exec(ctx, dbscope.System(), advanceSQL, feedID, f.Edge, string(value))
	return err
}
