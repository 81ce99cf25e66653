package migrations_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
	"mana.how/edge/migrations/functions"
)

// The functions of another binary are left alone while somebody uses them, and
// go a week after that, with the next set that is made.
func TestSetsOfFunctions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	apply(t, db.DSN) // it lets mana_owner make schemas
	owner := connect(t, db.AdminDSN())
	execAll(t, owner,
		`SET ROLE mana_owner`,
		`CREATE SCHEMA mana_functions_used`,
		`CREATE FUNCTION mana_functions_used.reap(p_limit bigint, p_more text) RETURNS text LANGUAGE sql AS $$ SELECT p_more $$`,
		`CREATE SCHEMA mana_functions_unused`,
		`CREATE FUNCTION mana_functions_unused.reap(p_limit bigint) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$`,
		// Of a binary that knew no sets, and one that is on no list.
		`CREATE FUNCTION credits.reap(p_limit int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$`,
		`CREATE FUNCTION credits.of_the_admin() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$`,
		`INSERT INTO mana.schema_functions (name, checksum) VALUES ('credits.reap', 'x')`,
		`INSERT INTO mana.function_sets (schema, used_at) VALUES
			('mana_functions_used', now() - interval '6 days'),
			('mana_functions_unused', now() - interval '8 days'),
			('credits', now() - interval '6 days')`,
		`RESET ROLE`)
	left := func() []string {
		t.Helper()
		rows, err := owner.Query(t.Context(), `
			SELECT n.nspname || '.' || p.proname
			FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
			WHERE p.proname IN ('reap', 'of_the_admin')`)
		if err != nil {
			t.Fatal(err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for i := range names {
			names[i] = strings.Replace(names[i], functions.Schema, "ours", 1)
		}
		slices.Sort(names)
		return names
	}

	apply(t, db.DSN)
	if diff := cmp.Diff([]string{"credits.of_the_admin", "credits.reap", "mana_functions_unused.reap", "mana_functions_used.reap", "ours.reap"}, left()); diff != "" {
		t.Errorf("a start that makes no set:\n%s", diff)
	}
	execAll(t, owner, `DROP SCHEMA `+functions.Schema+` CASCADE`)
	if s, err := migrations.Check(t.Context(), connect(t, db.DSN)); err != nil || !s.Functions || s.Complete() {
		t.Errorf("without our set: %+v, %v", s, err)
	}
	apply(t, db.DSN)
	if diff := cmp.Diff([]string{"credits.of_the_admin", "credits.reap", "mana_functions_used.reap", "ours.reap"}, left()); diff != "" {
		t.Errorf("with a set that was made:\n%s", diff)
	}
	if s, err := migrations.Check(t.Context(), connect(t, db.DSN)); err != nil || !s.Complete() {
		t.Errorf("with our set: %+v, %v", s, err)
	}

	execAll(t, owner,
		`UPDATE mana.function_sets SET used_at = now() - interval '8 days' WHERE schema <> 'mana_functions_used'`,
		`DELETE FROM mana.function_sets WHERE schema = '`+functions.Schema+`'`)
	apply(t, db.DSN)
	if diff := cmp.Diff([]string{"credits.of_the_admin", "mana_functions_used.reap", "ours.reap"}, left()); diff != "" {
		t.Errorf("functions of binaries without sets, a week later:\n%s", diff)
	}
}

// An edge that starts, and one that runs, says that its set is used.
func TestSetIsUsed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := connect(t, db.AdminDSN())
	for name, use := range map[string]func(){
		"start": func() { apply(t, db.DSN) },
		"run": func() {
			execAll(t, connect(t, db.DSN), `BEGIN`, `SET LOCAL ROLE mana_system`, migrations.UseSet, `COMMIT`)
		},
	} {
		execAll(t, owner, `UPDATE mana.function_sets SET used_at = now() - interval '8 days'`)
		use()
		var unused int
		err := owner.QueryRow(t.Context(), `SELECT count(*) FROM mana.function_sets WHERE used_at < now() - interval '1 minute'`).Scan(&unused)
		if err != nil || unused != 0 {
			t.Errorf("%s: %d sets are not used, %v", name, unused, err)
		}
	}
}

// mana_system alone may call the functions, whatever the default privileges are.
func TestWhoMayCallFunctions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var all, system, others int
	err := connect(t, db.AdminDSN()).QueryRow(t.Context(), `
		SELECT count(*),
		       count(*) FILTER (WHERE has_function_privilege('mana_system', oid, 'EXECUTE')),
		       count(*) FILTER (WHERE has_function_privilege('mana_user', oid, 'EXECUTE') OR has_function_privilege('public', oid, 'EXECUTE'))
		FROM pg_proc WHERE pronamespace = '`+functions.Schema+`'::regnamespace`).Scan(&all, &system, &others)
	if err != nil || all != len(functions.All()) || system != all || others != 0 {
		t.Errorf("%d functions of %d, %d for mana_system, %d for others, %v", all, len(functions.All()), system, others, err)
	}
}

// What a migration has made, such as a trigger, calls no function of a set: sets come and go.
func TestMigrationsCallNoFunctionOfASet(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("[0-9]*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range functions.All() {
			if strings.Contains(string(sql), "credits."+f.Name+"(") {
				t.Errorf("%s calls credits.%s", file, f.Name)
			}
		}
	}
}
