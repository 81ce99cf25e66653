package dbscope_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

const pruneUsers = `DELETE FROM auth.users WHERE id IN (SELECT id FROM auth.users WHERE name = $1 LIMIT $2)`

func addUsers(t *testing.T, db *pgtest.Database, n int) {
	t.Helper()
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
		`INSERT INTO auth.users (id, name, email)
		 SELECT 'u' || n, CASE n WHEN 0 THEN 'new' ELSE 'old' END, 'u' || n FROM generate_series(0, $1) AS n`, n)
	if err != nil {
		t.Fatal(err)
	}
}

func TestPruneGoesOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	addUsers(t, db, 2*dbscope.PruneBatch+1)
	pool := dbscope.DB{Pool: db.Pool, Error: func(err error) error { return err }}
	n, err := pool.Prune(t.Context(), "users", pruneUsers, "old")
	if err != nil || n != 2*dbscope.PruneBatch+1 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if left := users(t, db.Pool); left != 1 {
		t.Errorf("%d are left, want the new one", left)
	}
}

// Of two edges that prune the same rows one does.
func TestPruneLeavesTheWorkToWhoHoldsTheLock(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	addUsers(t, db, 3)
	pool := dbscope.DB{Pool: db.Pool, Error: func(err error) error { return err }}
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('users', 0))`); err != nil {
			return err
		}
		if n, err := pool.Prune(t.Context(), "users", pruneUsers, "old"); err != nil || n != 0 {
			t.Errorf("pruned %d beside another edge, %v", n, err)
		}
		if n, err := pool.Prune(t.Context(), "other rows", pruneUsers, "old"); err != nil || n != 3 {
			t.Errorf("pruned %d of what nobody else prunes, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
