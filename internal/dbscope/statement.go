package dbscope

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Rows runs one statement in scope s, in a transaction and round trip of its
// own, and returns its rows. T is a struct; its fields take the columns of
// their name ([pgx.RowToStructByName]). No rows is an empty slice. The
// statement is committed if the error is nil or says that a row did not fit T,
// and perhaps if it is [MaybeCommitted].
func Rows[T any](ctx context.Context, pool *pgxpool.Pool, s Scope, sql string, args ...any) ([]T, error) {
	var out []T
	err := run(ctx, pool, s, sql, args, func(br pgx.BatchResults) error {
		rows, err := br.Query()
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Row is [Rows] for the first row; [pgx.ErrNoRows] where there is none (which
// commits as well).
func Row[T any](ctx context.Context, pool *pgxpool.Pool, s Scope, sql string, args ...any) (T, error) {
	var out T
	err := run(ctx, pool, s, sql, args, func(br pgx.BatchResults) error {
		rows, err := br.Query()
		if err != nil {
			return err
		}
		out, err = pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// Exec is [Rows] for a statement whose rows do not matter. It returns how many
// rows it affected.
func Exec(ctx context.Context, pool *pgxpool.Pool, s Scope, sql string, args ...any) (int64, error) {
	var affected int64
	err := run(ctx, pool, s, sql, args, func(br pgx.BatchResults) error {
		tag, err := br.Exec()
		affected = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	return affected, nil
}

// NullText stores an empty text as NULL.
func NullText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// run pipelines the settings and the statement in one batch, which is one
// transaction: all hold or none. It is run again where others were in its way.
func run(ctx context.Context, pool *pgxpool.Pool, s Scope, sql string, args []any, read func(pgx.BatchResults) error) error {
	if err := s.check(); err != nil {
		return err
	}
	return again(ctx, func() error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return runOn(ctx, conn.Conn(), s, sql, args, read)
	})
}

// runOn runs on a connection. Close reports what only the commit brings to
// light, such as a deferred constraint.
func runOn(ctx context.Context, conn *pgx.Conn, s Scope, sql string, args []any, read func(pgx.BatchResults) error) error {
	prelude := preludeOf(conn)
	var batch pgx.Batch
	if prelude != ownSession { // else the batch is a transaction by itself
		batch.Queue(beginOf(conn))
		batch.Queue(prelude)
	}
	batch.Queue(set, s.role, s.userID, s.userRole)
	before := batch.Len()
	batch.Queue(sql, args...)
	if prelude != ownSession {
		batch.Queue(`COMMIT`)
	}
	br := conn.SendBatch(ctx, &batch)
	var err error
	for range before {
		if _, err = br.Exec(); err != nil {
			break
		}
	}
	if err == nil {
		err = read(br)
	}
	if closed := br.Close(); err == nil {
		err = closed
	}
	if conn.PgConn().TxStatus() != 'I' {
		rollback(ctx, conn)
	}
	return err
}

// rollback ends a failed transaction. A connection on which that fails is
// closed, which ends it too.
func rollback(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, `ROLLBACK`)
}
