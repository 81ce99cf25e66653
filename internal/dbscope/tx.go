package dbscope

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rollbackTimeout bounds the wait for a ROLLBACK after the request's own
// context has ended.
const rollbackTimeout = 5 * time.Second

// InTx runs fn in one READ COMMITTED transaction of scope s and commits it. If
// fn returns an error or panics the transaction is rolled back; the error
// comes back as it is. Errors of BEGIN and COMMIT come back as they are.
//
// Where others were in the way of the transaction ([Conflicted]) fn is called
// again: it must not change anything outside of the transaction but by
// assigning what it found.
func InTx(ctx context.Context, pool *pgxpool.Pool, s Scope, fn func(pgx.Tx) error) error {
	if err := s.check(); err != nil {
		return err
	}
	return again(ctx, func() error { return inTx(ctx, pool, s, fn) })
}

func inTx(ctx context.Context, pool *pgxpool.Pool, s Scope, fn func(pgx.Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: s.begin(preludeOf(conn.Conn()))})
	if err != nil {
		return err
	}
	defer func() { // nothing to do after a commit
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		_ = tx.Rollback(ctx) // a connection on which it fails is closed, which rolls back too
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// TxRow is [Row] in a transaction.
func TxRow[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) (T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
}
