package billing

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// databaseWait bounds one use of the database, the wait for a connection
// included.
const databaseWait = 4 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, databaseWait)
}

func rows[T any](ctx context.Context, s *Service, scope dbscope.Scope, sql string, args ...any) ([]T, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	list, err := dbscope.Rows[T](ctx, s.pool, scope, sql, args...)
	return list, dbError(err)
}

// row fails with [pgx.ErrNoRows] where there is none.
func row[T any](ctx context.Context, s *Service, scope dbscope.Scope, sql string, args ...any) (T, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	v, err := dbscope.Row[T](ctx, s.pool, scope, sql, args...)
	return v, dbError(err)
}

func (s *Service) exec(ctx context.Context, scope dbscope.Scope, sql string, args ...any) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	n, err := dbscope.Exec(ctx, s.pool, scope, sql, args...)
	return n, dbError(err)
}

// effect moves our rows and the ledger towards what Stripe says. It runs in a
// transaction of the system and asks nobody outside of it.
type effect func(ctx context.Context, tx pgx.Tx) error

// inTx runs fn as the system. What fn handed to [onCommit] follows once it has
// committed.
func (s *Service) inTx(ctx context.Context, fn effect) error {
	bound, cancel := bounded(ctx)
	defer cancel()
	var after commitHooks
	err := dbscope.InTx(bound, s.pool, system(), func(tx pgx.Tx) error {
		return fn(context.WithValue(bound, commitKey{}, &after), tx)
	})
	if err != nil {
		return dbError(err)
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
