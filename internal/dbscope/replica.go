package dbscope

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// replicaWait bounds one statement on a replica, so that there is time left
	// to ask the other server.
	replicaWait = 1500 * time.Millisecond
	// replicaPause is how long a replica that failed is not asked again.
	replicaPause = 5 * time.Second
)

// Replica is a server that follows the one that is written to. Its rows may be
// some moments old, or, while it recovers, much older.
type Replica struct {
	Pool   *pgxpool.Pool
	Failed func(error) // called where a statement went to the other server; may be nil
	paused atomic.Int64
}

const readOnlyKey = "dbscope.read_only"

// PrepareReplica is [Prepare] for connections that may lead to a standby, on which
// no transaction can be one that writes.
func PrepareReplica(config *pgx.ConnConfig, limits Limits) {
	Prepare(config, limits)
	prepared := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[readOnlyKey] = true
		return prepared(ctx, conn)
	}
}

// beginOf is how a transaction begins on the connection.
func beginOf(conn *pgx.Conn) string {
	if conn.PgConn().CustomData()[readOnlyKey] == true {
		return beginReading
	}
	return beginExplicitly
}

// ListLagging is [List] for what may be some moments old: it asks the replica,
// where there is one, and db where the replica cannot say. A nil replica is none.
func ListLagging[T any](ctx context.Context, replica *Replica, db DB, s Scope, sql string, args ...any) ([]T, error) {
	if replica == nil || time.Now().UnixNano() < replica.paused.Load() {
		return List[T](ctx, db, s, sql, args...)
	}
	short, cancel := context.WithTimeout(ctx, replicaWait)
	defer cancel()
	list, err := Rows[T](short, replica.Pool, s, sql, args...)
	if err == nil || errors.Is(err, ErrScope) || ctx.Err() != nil {
		return list, db.Error(err)
	}
	if IsUnavailable(err) {
		replica.paused.Store(time.Now().Add(replicaPause).UnixNano())
	}
	if replica.Failed != nil {
		replica.Failed(err)
	}
	return List[T](ctx, db, s, sql, args...)
}
