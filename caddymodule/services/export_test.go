package services

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// SetDeafTimeout sets how long an edge that hears nothing stays ready, and
// returns what sets it back.
func SetDeafTimeout(d time.Duration) (restore func()) {
	before := deafTimeout
	deafTimeout = d
	return func() { deafTimeout = before }
}

// WarnOfMight looks at the login role of a database.
func WarnOfMight(ctx context.Context, dsn string, log *slog.Logger) {
	warnOfMight(ctx, Address{Listen: dsn, QueryMode: pgx.QueryExecModeExec}, log)
}
