package dbscope_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func addUser(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), `INSERT INTO auth.users (id, name, email) VALUES ('a', '', 'a')`); err != nil {
		t.Error(err)
	}
}

func users(t *testing.T, pool *pgxpool.Pool) int64 {
	t.Helper()
	row, err := dbscope.Row[struct{ N int64 }](t.Context(), pool, dbscope.System(), `SELECT count(*) AS n FROM auth.users`)
	if err != nil {
		t.Fatal(err)
	}
	return row.N
}

func TestInTxCommits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		addUser(t, tx)
		return nil
	})
	if n := users(t, db.Pool); err != nil || n != 1 {
		t.Errorf("%d users, %v", n, err)
	}
}

func TestInTxRollsBackOnError(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	stop := errors.New("stop")
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		addUser(t, tx)
		return stop
	})
	if n := users(t, db.Pool); err != stop || n != 0 {
		t.Errorf("%d users, %v", n, err)
	}
}

func TestInTxRollsBackOnPanic(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := open(t, db.DSN, pgx.QueryExecModeExec, 1)
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Errorf("recovered %v", v)
			}
		}()
		_ = dbscope.InTx(t.Context(), pool, dbscope.System(), func(tx pgx.Tx) error {
			addUser(t, tx)
			panic("boom")
		})
	}()
	if n := users(t, pool); n != 0 {
		t.Errorf("%d users", n)
	}
	wantUnscoped(t, pool, "a panic")
}

// A statement that failed aborts the transaction, even if fn forgets the error.
func TestForgottenErrorIsNoCommit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		addUser(t, tx)
		_, _ = tx.Exec(t.Context(), `SELECT 1 / 0`)
		return nil
	})
	if n := users(t, db.Pool); !errors.Is(err, pgx.ErrTxCommitRollback) || n != 0 {
		t.Errorf("%d users, %v", n, err)
	}
}

// A deferred constraint speaks up at COMMIT, after all rows have been read.
func TestFailedCommitIsAnError(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	admin, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	if _, err := admin.Exec(t.Context(), `
		CREATE TABLE public.late (id int PRIMARY KEY, parent int REFERENCES public.late DEFERRABLE INITIALLY DEFERRED);
		GRANT ALL ON public.late TO mana_system`); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO public.late (id, parent) VALUES (1, 2) RETURNING id`
	type late struct{ ID int }
	for _, mode := range modes {
		pool := open(t, db.DSN, mode, 1)
		rows, errRows := dbscope.Rows[late](t.Context(), pool, dbscope.System(), insert)
		row, errRow := dbscope.Row[late](t.Context(), pool, dbscope.System(), insert)
		n, errExec := dbscope.Exec(t.Context(), pool, dbscope.System(), insert)
		errTx := dbscope.InTx(t.Context(), pool, dbscope.System(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), insert)
			return err
		})
		for way, err := range map[string]error{"Rows": errRows, "Row": errRow, "Exec": errExec, "InTx": errTx} {
			if code(err) != "23503" {
				t.Errorf("%s: %s: %v", mode, way, err)
			}
		}
		if rows != nil || row.ID != 0 || n != 0 {
			t.Errorf("%s: answers of what was not committed: %v, %v, %d", mode, rows, row, n)
		}
		wantUnscoped(t, pool, "a failed commit")
	}
}
