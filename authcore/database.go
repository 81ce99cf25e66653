package authcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

// databaseWait bounds one use of the database, the wait for a connection
// included, so that an outage is answered and not waited out.
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

func (s *Service) inTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return dbError(dbscope.InTx(ctx, s.pool, dbscope.System(), func(tx pgx.Tx) error { return fn(ctx, tx) }))
}

func system() dbscope.Scope { return dbscope.System() }

func scopeOf(c Caller) dbscope.Scope { return dbscope.User(c.UserID, string(c.Role)) }

// dbError turns what PostgreSQL and the way to it say into sentinels: the
// database being away becomes [ErrUnavailable], a taken e-mail address
// [ErrEmailTaken]. Everything else passes through.
func dbError(err error) error {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "23505" && pgErr.ConstraintName == "users_email_key" {
		return ErrEmailTaken
	}
	if dbscope.Away(err) {
		return errors.Join(ErrUnavailable, err)
	}
	return err
}
