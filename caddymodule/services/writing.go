package services

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const readOnlyTransaction = "25006" // read_only_sql_transaction

// writing makes connections lead to a server that takes writes, whichever of
// the URL's hosts that is: a standby is not connected to, unless the URL itself
// says target_session_attrs, and a connection whose server became read-only
// after a failover is closed at the first write that it refuses.
func writing(config *pgx.ConnConfig) {
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	judge := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.Code != readOnlyTransaction && (judge == nil || judge(conn, err))
	}
}

// explainConnect names a server that was left out for being read-only, which
// pgconn says in a text alone.
func explainConnect(err error) error {
	if strings.Contains(err.Error(), "read only connection") {
		return fmt.Errorf("%w: %w", errReadOnlyServer, err)
	}
	return err
}

const writesSQL = `SELECT current_setting('transaction_read_only') = 'off'`

// checkWrites fails with [errReadOnlyServer] where the pool's server takes no
// writes. All idle connections are given up then, so that the next are made to
// the server that does.
func checkWrites(ctx context.Context, pool *pgxpool.Pool) error {
	var writes bool
	if err := pool.QueryRow(ctx, writesSQL).Scan(&writes); err != nil {
		return err
	}
	if !writes {
		pool.Reset()
		return errReadOnlyServer
	}
	return nil
}
