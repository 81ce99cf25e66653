package settle

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Outcome is what became of an event.
type Outcome string

// Outcomes of an event that was applied or needs no further delivery.
const (
	Applied   Outcome = "applied"
	Duplicate Outcome = "duplicate"
	Foreign   Outcome = "foreign" // of no purchase, customer or plan of ours
	Refused   Outcome = "refused" // it can never be applied, see the log
)

// Handler makes the effect of an event. It may ask Stripe. A nil effect means
// that the event concerns nothing of ours.
type Handler func(context.Context, stripe.Event) (Effect, error)

// Events applies events, each once.
type Events struct {
	db  dbscope.DB
	log *slog.Logger
	// mismatch is told of each payment that is not the one our row asks for.
	mismatch func()
}

// NewEvents makes Events. Mismatch is told of each payment that is not the one
// our row asks for.
func NewEvents(db dbscope.DB, log *slog.Logger, mismatch func()) *Events {
	return &Events{db: db, log: log, mismatch: mismatch}
}

// Apply applies an event, once however often it comes. It fails where the event
// should be delivered again.
func (e *Events) Apply(ctx context.Context, event stripe.Event, handle Handler) (Outcome, error) {
	if known, err := e.known(ctx, event.ID); err != nil || known {
		return Duplicate, err
	}
	outcome, err := RetryStale(ctx, func() (Outcome, error) { return e.try(ctx, event, handle) })
	if !Permanent(err) || errors.Is(err, creditcore.ErrUnavailable) {
		return outcome, err
	}
	e.log.ErrorContext(ctx, "Stripe event can never be applied", "event", event.ID, "type", event.Type, "error", err)
	if errors.Is(err, ErrMismatch) {
		e.mismatch()
	}
	return Refused, InTx(ctx, e.db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := record(ctx, tx, event, Refused)
		return err
	})
}

// try makes the effect of an event and applies it together with the event's id.
func (e *Events) try(ctx context.Context, event stripe.Event, handle Handler) (Outcome, error) {
	apply, err := handle(ctx, event)
	if err != nil {
		return "", err
	}
	outcome := Applied
	if apply == nil {
		outcome = Foreign
	}
	err = InTx(ctx, e.db, func(ctx context.Context, tx pgx.Tx) error {
		fresh, err := record(ctx, tx, event, outcome)
		if err != nil {
			return err
		}
		if !fresh {
			outcome = Duplicate
			return nil
		}
		if apply == nil {
			return nil
		}
		return apply(ctx, tx)
	})
	return outcome, err
}

// eventsKept is how long event ids are remembered: longer than Stripe repeats
// a delivery by itself or by hand (30 days).
const eventsKept = 90 * 24 * time.Hour
