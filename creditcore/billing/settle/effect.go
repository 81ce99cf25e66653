package settle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

var (
	// ErrStale means that a row moved between being read and the transaction:
	// the effect must be made anew.
	ErrStale = errors.New("the row changed since Stripe was asked")
	// ErrMismatch means a payment that is not the one our row asks for.
	ErrMismatch = errors.New("the payment does not fit the purchase")
	// ErrUnusable means a signed event that makes no sense.
	ErrUnusable = errors.New("the event is not usable")
)

// Permanent reports whether trying the same effect again cannot help: the
// payment is another one, the account is gone, or the amount is beyond what an
// account holds.
func Permanent(err error) bool {
	return errors.Is(err, ErrMismatch) || errors.Is(err, ErrUnusable) || errors.Is(err, creditcore.ErrAccountNotFound) ||
		errors.Is(err, creditcore.ErrAmount) || errors.Is(err, creditcore.ErrInvalid)
}

// Effect moves our rows and the ledger towards what Stripe says. It runs in a
// transaction of the system and asks nobody outside of it. A nil effect is
// nothing to do.
type Effect func(ctx context.Context, tx pgx.Tx) error

// InTx runs an effect as the system. What it handed to [OnCommit] follows once
// it has committed.
func InTx(ctx context.Context, db dbscope.DB, apply Effect) error {
	var after commitHooks
	err := db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		return apply(context.WithValue(ctx, commitKey{}, &after), tx)
	})
	if err != nil {
		return err
	}
	for _, f := range after {
		f()
	}
	return nil
}

type (
	commitHooks []func()
	commitKey   struct{}
)

// OnCommit defers what must not be said of a transaction that rolls back, such
// as a measurement. The context is that of an [Effect].
func OnCommit(ctx context.Context, f func()) {
	if after, ok := ctx.Value(commitKey{}).(*commitHooks); ok {
		*after = append(*after, f)
	}
}

const (
	// staleTries is how often work is done anew when rows move under it.
	staleTries = 8
	// firstPause and longestPause are the pauses between these tries.
	firstPause   = 5 * time.Millisecond
	longestPause = 200 * time.Millisecond
)

// RetryStale does work, and does it again while it fails with [ErrStale], with
// growing pauses and eight times at most.
func RetryStale[T any](ctx context.Context, work func() (T, error)) (T, error) {
	return backoff.Retry(ctx, func() (T, error) {
		v, err := work()
		if err != nil && !errors.Is(err, ErrStale) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithMaxTries(staleTries), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: longestPause, Multiplier: 2, RandomizationFactor: 0.5,
	}))
}

// ApplyWithRetry makes an effect and applies it, anew while rows move in
// between.
func ApplyWithRetry(ctx context.Context, db dbscope.DB, makes func(context.Context) (Effect, error)) error {
	_, err := RetryStale(ctx, func() (struct{}, error) {
		apply, err := makes(ctx)
		if err == nil && apply != nil {
			err = InTx(ctx, db, apply)
		}
		return struct{}{}, err
	})
	return err
}

// ApplyAll applies the effects of several objects of Stripe. One that can never
// be applied is logged; what failed of the others is returned.
func ApplyAll(ctx context.Context, db dbscope.DB, log *slog.Logger, ids []string, makes func(context.Context, string) (Effect, error)) error {
	var failed []error
	for _, id := range ids {
		err := ApplyWithRetry(ctx, db, func(ctx context.Context) (Effect, error) { return makes(ctx, id) })
		switch {
		case Permanent(err):
			log.ErrorContext(ctx, "an object of Stripe can never be applied", "object", id, "error", err)
		case err != nil:
			failed = append(failed, fmt.Errorf("bring %s up to date: %w", id, err))
		}
	}
	return errors.Join(failed...)
}
