package dbscope

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Wait bounds one use of a [DB], the wait for a connection included, so that
// an outage is answered and not waited out.
const Wait = 4 * time.Second

const surveyWait = 10 * time.Minute

// DB is a pool as a service uses it: within [Wait], and with errors in the
// service's own words.
type DB struct {
	Pool  *pgxpool.Pool
	Error func(error) error // also called with nil
}

// Bounded is ctx within [Wait].
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, Wait)
}

// List is [Rows] of a DB.
func List[T any](ctx context.Context, db DB, s Scope, sql string, args ...any) ([]T, error) {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	list, err := Rows[T](ctx, db.Pool, s, sql, args...)
	return list, db.Error(err)
}

// Texts reads one column, named text, of a DB.
func Texts(ctx context.Context, db DB, s Scope, sql string, args ...any) ([]string, error) {
	found, err := List[struct{ Text string }](ctx, db, s, sql, args...)
	list := make([]string, len(found))
	for i, f := range found {
		list[i] = f.Text
	}
	return list, err
}

// One is [Row] of a DB.
func One[T any](ctx context.Context, db DB, s Scope, sql string, args ...any) (T, error) {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	v, err := Row[T](ctx, db.Pool, s, sql, args...)
	return v, db.Error(err)
}

// Exec is the function [Exec] of a DB.
func (db DB) Exec(ctx context.Context, s Scope, sql string, args ...any) (int64, error) {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	n, err := Exec(ctx, db.Pool, s, sql, args...)
	return n, db.Error(err)
}

// Survey is InTx for work on whole tables: within ten minutes, and without a
// limit for a statement.
func (db DB) Survey(ctx context.Context, s Scope, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, surveyWait)
	defer cancel()
	return db.Error(InTx(ctx, db.Pool, s, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		return fn(ctx, tx)
	}))
}

// InTx is the function [InTx] of a DB. fn gets the bounded context.
func (db DB) InTx(ctx context.Context, s Scope, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	return db.Error(InTx(ctx, db.Pool, s, func(tx pgx.Tx) error { return fn(ctx, tx) }))
}
