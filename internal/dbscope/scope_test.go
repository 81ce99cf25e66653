package dbscope_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open returns a pool of n connections in an exec mode.
func open(t *testing.T, dsn string, mode pgx.QueryExecMode, n int32) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = n
	config.ConnConfig.DefaultQueryExecMode = mode
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// setting is who the database takes us for.
type setting struct{ Acts, UserID, Role string }

const whoami = `SELECT current_user::text AS acts,
	coalesce(current_setting('mana.user_id', true), '') AS user_id,
	coalesce(current_setting('mana.role', true), '') AS role`

var nobody = setting{Acts: "mana"}

// unscoped asks outside of any scope, in a mode that PgBouncer stands.
func unscoped(ctx context.Context, pool *pgxpool.Pool) (setting, error) {
	rows, err := pool.Query(ctx, whoami, pgx.QueryExecModeExec)
	if err != nil {
		return setting{}, err
	}
	return pgx.CollectOneRow(rows, pgx.RowToStructByName[setting])
}

func wantUnscoped(t *testing.T, pool *pgxpool.Pool, after string) {
	t.Helper()
	got, err := unscoped(t.Context(), pool)
	if err != nil || got != nobody {
		t.Errorf("after %s the connection acts as %+v, %v", after, got, err)
	}
}

// modes are those the configuration offers. QueryExecModeDescribeExec is none:
// outside a transaction a PgBouncer before 1.21 may describe on one connection
// and run on another.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec,
	pgx.QueryExecModeSimpleProtocol,
}

func TestScopeHoldsForItsWorkOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ids := []string{
		"alice", "", "o'brien", `back\slash`, `\'; DROP SCHEMA auth CASCADE; --`, `'); SET ROLE mana_system; --`,
		"$1", "$$", "%s", "ümläut ☃ 𝄞", "line\nbreak\ttab", "E'", "\u00a0",
	}
	for _, mode := range modes {
		pool := open(t, db.DSN, mode, 1)
		for _, id := range ids {
			scope, want := dbscope.User(id, "admin'\\"), setting{"mana_user", id, "admin'\\"}
			wantScope(t, pool, fmt.Sprintf("%s, user %q", mode, id), scope, want)
		}
		wantScope(t, pool, mode.String()+", system", dbscope.System(), setting{Acts: "mana_system"})
	}
}

// wantScope checks every way to run work in a scope, on a pool of one connection.
func wantScope(t *testing.T, pool *pgxpool.Pool, name string, s dbscope.Scope, want setting) {
	t.Helper()
	row, err := dbscope.Row[setting](t.Context(), pool, s, whoami)
	if err != nil || row != want {
		t.Errorf("%s: Row: %+v, %v", name, row, err)
	}
	wantUnscoped(t, pool, name+": Row")
	rows, err := dbscope.Rows[setting](t.Context(), pool, s, whoami+` FROM generate_series(1, $1::int)`, 2)
	if diff := cmp.Diff([]setting{want, want}, rows); diff != "" || err != nil {
		t.Errorf("%s: Rows: %v (-want +got):\n%s", name, err, diff)
	}
	wantUnscoped(t, pool, name+": Rows")
	n, err := dbscope.Exec(t.Context(), pool, s,
		`SELECT WHERE current_user = $1 AND current_setting('mana.user_id') = $2`, want.Acts, want.UserID)
	if err != nil || n != 1 {
		t.Errorf("%s: Exec: %d rows, %v", name, n, err)
	}
	wantUnscoped(t, pool, name+": Exec")
	err = dbscope.InTx(t.Context(), pool, s, func(tx pgx.Tx) error {
		for range 2 {
			rows, err := tx.Query(t.Context(), whoami)
			if err != nil {
				return err
			}
			got, err := pgx.CollectOneRow(rows, pgx.RowToStructByName[setting])
			if err != nil || got != want {
				t.Errorf("%s: InTx: %+v, %v", name, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: InTx: %v", name, err)
	}
	wantUnscoped(t, pool, name+": InTx")
	if _, err := dbscope.Exec(t.Context(), pool, s, `SELECT 1 / $1::int`, 0); code(err) != "22012" {
		t.Errorf("%s: division: %v", name, err)
	}
	wantUnscoped(t, pool, name+": failed Exec")
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestInvalidScopeIsNotSent(t *testing.T) {
	t.Parallel()
	closed := open(t, "postgres://nowhere.invalid/none", pgx.QueryExecModeExec, 1)
	for name, s := range map[string]dbscope.Scope{
		"zero":           {},
		"NUL in id":      dbscope.User("a\x00b", "user"),
		"NUL in role":    dbscope.User("a", "\x00"),
		"not UTF-8":      dbscope.User("a\xc3", "user"),
		"overlong quote": dbscope.User("a\xc0\xa7", "user"),
	} {
		_, row := dbscope.Row[setting](t.Context(), closed, s, whoami)
		_, rows := dbscope.Rows[setting](t.Context(), closed, s, whoami)
		_, exec := dbscope.Exec(t.Context(), closed, s, whoami)
		tx := dbscope.InTx(t.Context(), closed, s, func(pgx.Tx) error { t.Error("fn ran"); return nil })
		for way, err := range map[string]error{"Row": row, "Rows": rows, "Exec": exec, "InTx": tx} {
			if !errors.Is(err, dbscope.ErrScope) {
				t.Errorf("%s: %s: %v", name, way, err)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		pool := open(t, pgtest.New(t).DSN, mode, 1)
		if rows, err := dbscope.Rows[setting](t.Context(), pool, dbscope.System(), whoami+` WHERE false`); len(rows) != 0 || rows == nil || err != nil {
			t.Errorf("%s: Rows without a row: %v, %v", mode, rows, err)
		}
		if _, err := dbscope.Row[setting](t.Context(), pool, dbscope.System(), whoami+` WHERE false`); !errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("%s: Row without a row: %v", mode, err)
		}
		if _, err := dbscope.Rows[setting](t.Context(), pool, dbscope.System(), `SELECT FROM auth.none_such`); code(err) != "42P01" {
			t.Errorf("%s: unknown table: %v", mode, err)
		}
		if n, err := dbscope.Exec(t.Context(), pool, dbscope.System(),
			`INSERT INTO auth.users (id, name, email) VALUES ($1, $2, $3), ('b', '', 'b')`, "a", "", "a"); n != 2 || err != nil {
			t.Errorf("%s: Exec: %d, %v", mode, n, err)
		}
		if _, err := dbscope.Exec(t.Context(), pool, dbscope.System(),
			`INSERT INTO auth.users (id, name, email) VALUES ($1, '', 'c')`, "a"); code(err) != "23505" {
			t.Errorf("%s: duplicate: %v", mode, err)
		}
	}
}

func TestCanceledContext(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.New(t).DSN, pgx.QueryExecModeCacheDescribe, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dbscope.Exec(ctx, pool, dbscope.System(), `SELECT pg_sleep(60)`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exec: %v", err)
	}
	wantUnscoped(t, pool, "a deadline")
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	stop := errors.New("stop")
	err := dbscope.InTx(ctx, pool, dbscope.System(), func(tx pgx.Tx) error {
		cancel()
		return stop
	})
	if err != stop {
		t.Errorf("InTx: %v, want the error of fn", err)
	}
	wantUnscoped(t, pool, "a cancelled transaction")
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections still acquired", n)
	}
}
