package services

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/dbscope"
)

// openReplica opens the pool of a standby, nil where none is named. It is not
// reached here: what it does not answer, the database does.
func (rt *Runtime) openReplica(ctx context.Context, url config.Secret, at Address, log *slog.Logger) (*dbscope.Replica, error) {
	if !url.IsSet() {
		return nil, nil
	}
	at.Pool, at.Pooled = url.Reveal(), true // a pooler may stand there
	if at.QueryMode == pgx.QueryExecModeCacheStatement {
		at.QueryMode = pgx.QueryExecModeCacheDescribe
	}
	config, err := poolConfig(at)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	dbscope.PrepareReplica(config.ConnConfig, dbscope.RequestLimits)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	rt.onClose(func() { ClosePool(pool, log) })
	return &dbscope.Replica{Pool: pool, Failed: func(err error) {
		log.Warn("the replica did not answer, so the database was asked", "error", err)
	}}, nil
}

// WithReplica runs f on one connection to a standby.
func WithReplica(ctx context.Context, url config.Secret, f func(*pgx.Conn) error) error {
	pool, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return errUnreadableURL
	}
	pool.ConnConfig.ConnectTimeout = connectTimeout
	dbscope.PrepareReplica(pool.ConnConfig, dbscope.RequestLimits)
	return withConn(ctx, pool.ConnConfig, f)
}
