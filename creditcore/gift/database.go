package gift

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// databaseWait bounds one use of the database, the wait for a connection
// included.
const databaseWait = 4 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, databaseWait)
}

func system() dbscope.Scope { return dbscope.System() }

// rows reads in a transaction of its own.
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

// inTx runs fn as the system. A [Refusal] that fn returns comes back, but what
// fn wrote before is kept.
func (s *Service) inTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var refusal error
	err := dbscope.InTx(ctx, s.pool, system(), func(tx pgx.Tx) error {
		err := fn(ctx, tx)
		if refused := Refusal(""); errors.As(err, &refused) {
			refusal = refused
			return nil
		}
		return err
	})
	if err != nil {
		return dbError(err)
	}
	return refusal
}

// textOrNull stores an empty text as NULL.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
