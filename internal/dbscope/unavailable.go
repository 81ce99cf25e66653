package dbscope

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// MaybeCommitted reports whether a statement that failed may have been carried out:
// it may have been sent, and nothing says that it was rolled back.
func MaybeCommitted(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57P")
	}
	var connectErr *pgconn.ConnectError
	return IsUnavailable(err) && !errors.As(err, &connectErr) && !pgconn.SafeToRetry(err)
}

// IsUnavailable reports whether an error means that the database cannot serve at the
// moment: it cannot be reached, is starting or stopping, out of resources, a
// standby, did not answer in time, or others were in the way of the work for
// all of its time. The same work may succeed later.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return strings.HasPrefix(pgErr.Code, "08") || // connection exception
			strings.HasPrefix(pgErr.Code, "57P") || // shutting down or starting up
			strings.HasPrefix(pgErr.Code, "53") || // out of resources
			pgErr.Code == "57014" || // statement timeout
			pgErr.Code == "55P03" || // lock timeout
			pgErr.Code == "25006" || // read-only: a standby
			pgErr.Code == "0A000" && pgErr.Routine == "check_transaction_read_only" || // the same, at BEGIN
			Conflicted(err) // all the time there was
	}
	var connectErr *pgconn.ConnectError
	var netErr net.Error
	return errors.As(err, &connectErr) || errors.As(err, &netErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}
