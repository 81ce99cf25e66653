package dbscope_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// session is what decides how statements are read and carried out.
type session struct {
	Isolation, ReadOnly, DateStyle, TimeZone, IntervalStyle, Strings, Bytea, Digits, Path string
	Statement, Lock, Idle                                                                 string
	Day, Span, Blob, Backslash                                                            string
}

const readSession = `SELECT current_setting('transaction_isolation') AS isolation, current_setting('transaction_read_only') AS read_only,
	current_setting('DateStyle') AS date_style, current_setting('TimeZone') AS time_zone, current_setting('IntervalStyle') AS interval_style,
	current_setting('standard_conforming_strings') AS strings, current_setting('bytea_output') AS bytea,
	current_setting('extra_float_digits') AS digits, current_setting('search_path') AS path,
	current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
	current_setting('idle_in_transaction_session_timeout') AS idle,
	'2026-02-01'::date::text AS day, interval '1 month 2 days'::text AS span, '\x01'::bytea::text AS blob, length('\n')::text AS backslash`

var ourSession = session{
	Isolation: "read committed", ReadOnly: "off", DateStyle: "ISO, MDY", TimeZone: "UTC", IntervalStyle: "postgres", Strings: "on",
	Bytea: "hex", Digits: "1", Path: "pg_catalog", Statement: "10s", Lock: "4s", Idle: "15s",
	Day: "2026-02-01", Span: "1 mon 2 days", Blob: `\x01`, Backslash: "2",
}

// estrange gives the database and its login role settings that nobody expects.
func estrange(t *testing.T, db *pgtest.Database) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, set := range []string{
		`default_transaction_isolation = 'serializable'`, `default_transaction_read_only = on`, `DateStyle = 'German, DMY'`,
		`TimeZone = 'Pacific/Apia'`, `IntervalStyle = 'iso_8601'`, `standard_conforming_strings = off`, `bytea_output = 'escape'`,
		`extra_float_digits = -3`, `search_path = 'elsewhere'`, `statement_timeout = '1h'`, `lock_timeout = '1h'`,
		`idle_in_transaction_session_timeout = '1h'`, `escape_string_warning = off`,
	} {
		for _, of := range []string{"DATABASE " + db.Name, "ROLE mana IN DATABASE " + db.Name} {
			if _, err := admin.Exec(t.Context(), "ALTER "+of+" SET "+set); err != nil {
				t.Fatalf("%s: %v", set, err)
			}
		}
	}
	db.Pool.Reset()
}

// prepared is a pool of sessions that are ours.
func prepared(t *testing.T, dsn string, mode pgx.QueryExecMode, own ...dbscope.Setting) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 4
	config.ConnConfig.DefaultQueryExecMode = mode
	dbscope.Prepare(config.ConnConfig, dbscope.RequestLimits, own...)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Whatever the database and the role say, each unit of work runs with our
// settings: on PostgreSQL itself and through a pooler, alone and in a transaction.
func TestSessionsAreOurs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	estrange(t, db)
	pooler := bouncer(t, db)
	type way struct {
		dsn  string
		mode pgx.QueryExecMode
	}
	var ways []way
	for _, mode := range modes {
		ways = append(ways, way{db.DSN, mode})
	}
	for _, mode := range bounced {
		ways = append(ways, way{pooler, mode})
	}
	for _, w := range ways {
		name := fmt.Sprintf("%s pooled %t", w.mode, w.dsn == pooler)
		pool := prepared(t, w.dsn, w.mode)
		got, err := dbscope.Row[session](t.Context(), pool, dbscope.System(), readSession)
		if diff := cmp.Diff(ourSession, got); diff != "" || err != nil {
			t.Errorf("%s, a statement: %v %s", name, err, diff)
		}
		err = dbscope.InTx(t.Context(), pool, dbscope.System(), func(tx pgx.Tx) (err error) {
			got, err = dbscope.TxRow[session](t.Context(), tx, readSession)
			return err
		})
		if diff := cmp.Diff(ourSession, got); diff != "" || err != nil {
			t.Errorf("%s, a transaction: %v %s", name, err, diff)
		}
		if _, err := dbscope.Exec(t.Context(), pool, dbscope.System(), `UPDATE auth.users SET name = name`); err != nil {
			t.Errorf("%s, a change: %v", name, err)
		}
	}
}

// The first thing that happens on a connection may already be a statement.
func TestUnpreparedPoolsAreSetToo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	estrange(t, db)
	for range 3 {
		got, err := dbscope.Row[struct{ Isolation, Day string }](t.Context(), db.Pool, dbscope.System(),
			`SELECT current_setting('transaction_isolation') AS isolation, '2026-02-01'::date::text AS day`)
		if err != nil || got.Isolation != "read committed" || got.Day != "2026-02-01" {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// A setting of the caller's is there in each unit of work, and on a pooler in those of its
// own pool alone.
func TestOwnSettings(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pooler := bouncer(t, db)
	for _, dsn := range []string{db.DSN, pooler} {
		with := prepared(t, dsn, pgx.QueryExecModeCacheDescribe, dbscope.Setting{Name: "mana.test", Value: "it's 1"})
		without := prepared(t, dsn, pgx.QueryExecModeCacheDescribe)
		for range 8 {
			for want, pool := range map[string]*pgxpool.Pool{"it's 1": with, "": without} {
				got, err := dbscope.Row[struct{ Value string }](t.Context(), pool, dbscope.System(), `SELECT coalesce(current_setting('mana.test', true), '') AS value`)
				if err != nil || got.Value != want {
					t.Errorf("pooled %t: %q, want %q, %v", dsn == pooler, got.Value, want, err)
				}
			}
		}
	}
}

func TestLimitsOfTheURLAreKept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, dsn := range []string{db.DSN + "&statement_timeout=7s&timezone=Asia/Tokyo", bouncer(t, db) + " statement_timeout=7s timezone=Asia/Tokyo"} {
		got, err := dbscope.Row[session](t.Context(), prepared(t, dsn, pgx.QueryExecModeCacheDescribe), dbscope.System(), readSession)
		want := ourSession
		want.Statement = "7s"
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	}
}

// A failed statement behind a pooler leaves no transaction and no role behind.
func TestFailureThroughPgBouncerEndsItsTransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := prepared(t, bouncer(t, db), pgx.QueryExecModeCacheDescribe)
	for range 8 {
		if _, err := dbscope.Exec(t.Context(), pool, dbscope.System(), `SELECT 1 / $1::int`, 0); code(err) != "22012" {
			t.Fatal(err)
		}
		wantUnscoped(t, pool, "a failure")
	}
	if n := pool.Stat().NewConnsCount(); n > 4 {
		t.Errorf("%d connections were opened: failures cost them", n)
	}
}

// Transactions that get in each other's way are run again, statements too.
func TestConflictsAreTriedAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, id := range []string{"a", "b"} {
		if _, err := dbscope.Exec(ctx, db.Pool, dbscope.System(), `INSERT INTO auth.users (id, name, email) VALUES ($1, '0', $1)`, id); err != nil {
			t.Fatal(err)
		}
	}
	const rename = `UPDATE auth.users SET name = (name::int + 1)::text WHERE id = $1`
	const rounds = 3
	var both sync.WaitGroup
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		both.Go(func() {
			for range rounds { // each takes one row and wants the other: a deadlock
				err := dbscope.InTx(ctx, db.Pool, dbscope.System(), func(tx pgx.Tx) error {
					if _, err := tx.Exec(ctx, rename, order[0]); err != nil {
						return err
					}
					time.Sleep(50 * time.Millisecond)
					_, err := tx.Exec(ctx, rename, order[1])
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	// A statement whose first tries fail as a conflict does.
	admin, err := pgx.Connect(ctx, db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, `CREATE SEQUENCE public.tries; GRANT USAGE ON SEQUENCE public.tries TO mana_system;
		GRANT USAGE ON SCHEMA public TO mana_system;
		CREATE FUNCTION public.stubborn() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('public.tries') < 3 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = 'serialization_failure'; END IF;
			RETURN currval('public.tries'); END $$`); err != nil {
		t.Fatal(err)
	}
	tries, err := dbscope.Row[struct{ N int64 }](ctx, db.Pool, dbscope.System(), `SELECT public.stubborn() AS n`)
	if err != nil || tries.N != 3 {
		t.Errorf("%+v, %v", tries, err)
	}
	names, err := dbscope.Rows[struct{ Name string }](ctx, db.Pool, dbscope.System(), `SELECT name FROM auth.users`)
	if err != nil || len(names) != 2 || names[0].Name != "6" || names[1].Name != "6" {
		t.Errorf("%+v, %v", names, err)
	}
}
