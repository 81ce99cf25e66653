package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
)

func TestNewDatabaseIsMigrated(t *testing.T) {
	t.Parallel()
	for range 2 { // the second is another copy
		db := pgtest.New(t)
		conn, err := pgx.Connect(t.Context(), db.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		status, err := migrations.Check(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if status.Current == 0 || status.Current != status.Latest {
			t.Errorf("at version %d of %d", status.Current, status.Latest)
		}
	}
}
