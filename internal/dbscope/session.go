package dbscope

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Limits are what the server bounds in a session, as PostgreSQL writes times;
// "0" is no bound.
type Limits struct {
	Statement string // one statement
	Lock      string // the wait for one lock
	Idle      string // a transaction that nothing is asked in
}

// Unlimited is for migrations and for connections that only wait.
var Unlimited = Limits{"0", "0", "0"}

// RequestLimits bound what is done for a request. They are longer than [Wait],
// which is the client's side of the same.
var RequestLimits = Limits{Statement: "10s", Lock: "4s", Idle: "15s"}

// Setting is a parameter of a session and the value this program works with.
// Those with a prefix are for functions of the database to read.
type Setting struct{ Name, Value string }

// forms decide how texts are read and written, so they must stand before a
// statement is parsed. Poolers keep these for each client, whichever of their
// connections serves it.
var forms = []Setting{
	{"DateStyle", "ISO, MDY"},
	{"TimeZone", "UTC"},
	{"standard_conforming_strings", "on"},
}

// settings are all that a role, a database or a pooler may have changed and
// that changes what a statement means or how long it takes.
func settings(l Limits) []Setting {
	return append([]Setting{
		{"IntervalStyle", "postgres"},
		{"bytea_output", "hex"},
		{"extra_float_digits", "1"},
		{"search_path", "pg_catalog"},
		{"statement_timeout", l.Statement},
		{"lock_timeout", l.Lock},
		{"idle_in_transaction_session_timeout", l.Idle},
	}, forms...)
}

// defaults are settings of a session that a transaction takes on when it
// begins. [beginExplicitly] says them for a transaction alone.
var defaults = []Setting{
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
}

const (
	beginExplicitly = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE`
	beginReading    = `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE`
)

// preludeKey is where a connection keeps the prelude of its units of work.
const preludeKey = "dbscope.prelude"

// ownSession marks a connection whose session holds every setting already.
const ownSession = ""

// Prepare has the sessions of a connection or pool to be hold this program's
// settings, whatever the role, the database or a pooler says. A connection that
// leads to PostgreSQL itself is set once. Behind a pooler in transaction mode,
// where a session is anybody's, each unit of work sets its transaction, in the
// same round trip.
//
// Limits that the URL names are kept. What own says is set beside.
func Prepare(config *pgx.ConnConfig, limits Limits, own ...Setting) {
	for name, limit := range map[string]*string{
		"statement_timeout": &limits.Statement, "lock_timeout": &limits.Lock, "idle_in_transaction_session_timeout": &limits.Idle,
	} {
		if value, named := config.RuntimeParams[name]; named {
			*limit = value
		}
	}
	for _, s := range forms {
		maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool { return strings.EqualFold(name, s.Name) })
		config.RuntimeParams[s.Name] = s.Value
	}
	all := append(settings(limits), own...)
	local, session := setAll(all, true), setAll(append(all, defaults...), false)
	before := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		conn.CustomData()[preludeKey] = local
		direct, err := isDirect(ctx, conn)
		if err != nil || !direct {
			return err
		}
		conn.CustomData()[preludeKey] = ownSession
		return conn.Exec(ctx, session).Close()
	}
}

// isDirect reports whether the process that answers is the one that greeted: a
// pooler greets with a number of its own.
func isDirect(ctx context.Context, conn *pgconn.PgConn) (bool, error) {
	results, err := conn.Exec(ctx, `SELECT pg_catalog.pg_backend_pid()`).ReadAll()
	if err != nil {
		return false, err
	}
	return string(results[0].Rows[0][0]) == strconv.FormatUint(uint64(conn.PID()), 10), nil
}

// preludeOf is what sets the transactions of a connection: [ownSession] where
// its session is set.
func preludeOf(conn *pgx.Conn) string {
	if prelude, ok := conn.PgConn().CustomData()[preludeKey].(string); ok {
		return prelude
	}
	return unprepared
}

// unprepared is the prelude on connections that [Prepare] has not seen.
var unprepared = setAll(settings(RequestLimits), true)

// setAll is a statement that sets all of the list, for the transaction or the session.
func setAll(list []Setting, local bool) string {
	calls := make([]string, len(list))
	for i, s := range list {
		calls[i] = "pg_catalog.set_config(" + literal(s.Name) + ", " + literal(s.Value) + ", " + strconv.FormatBool(local) + ")"
	}
	return "SELECT " + strings.Join(calls, ", ")
}
