package billing

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// effect moves our rows and the ledger towards what Stripe says. It runs in a
// transaction of the system and asks nobody outside of it.
type effect func(ctx context.Context, tx pgx.Tx) error

// inTx runs fn as the system. What fn handed to [onCommit] follows once it has
// committed.
func (s *Service) inTx(ctx context.Context, fn effect) error {
	var after commitHooks
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		return fn(context.WithValue(ctx, commitKey{}, &after), tx)
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

// onCommit defers what must not be said of a transaction that rolls back, such
// as a measurement. The context is that of an [effect].
func onCommit(ctx context.Context, f func()) {
	if after, ok := ctx.Value(commitKey{}).(*commitHooks); ok {
		*after = append(*after, f)
	}
}

func system() dbscope.Scope { return dbscope.System() }

func scopeOf(c creditcore.Caller) dbscope.Scope { return dbscope.User(c.UserID, c.Role) }

// dbError turns the database being away into [creditcore.ErrUnavailable].
// Everything else passes through.
func dbError(err error) error {
	if dbscope.Away(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}
