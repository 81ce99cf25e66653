package pgtest_test

import (
	"os"
	"testing"

	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestEmptyDatabaseBelongsToTheLoginRole(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var user, name string
	var super, createRole bool
	err := db.Pool.QueryRow(t.Context(), `
		SELECT current_user, current_database(), rolsuper, rolcreaterole
		FROM pg_roles WHERE rolname = current_user`).Scan(&user, &name, &super, &createRole)
	if err != nil {
		t.Fatal(err)
	}
	if user != "mana" || name != db.Name || super || !createRole {
		t.Errorf("user %q, database %q, superuser %t, createrole %t", user, name, super, createRole)
	}
	if _, err := db.Pool.Exec(t.Context(), `CREATE SCHEMA auth`); err != nil {
		t.Errorf("create a schema: %v", err)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	a, b := pgtest.Empty(t), pgtest.Empty(t)
	if a.Name == b.Name || a.DSN == b.DSN {
		t.Fatalf("two databases share a name: %s, %s", a.Name, b.Name)
	}
	if _, err := a.Pool.Exec(t.Context(), `CREATE TABLE public.only_here (id int)`); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := b.Pool.QueryRow(t.Context(), `SELECT to_regclass('public.only_here') IS NOT NULL`).Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Error("a table of one database shows in the other")
	}
}
