package migrations_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
)

// Functions of an older or newer binary, other arguments included, give way to
// this binary's, and those without a file go.
func TestFunctionsFollowTheirFiles(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn := connect(t, db.DSN)
	execAll(t, conn,
		`SET ROLE mana_owner`,
		`DROP FUNCTION credits.reap(int)`,
		`CREATE FUNCTION credits.reap(p_limit bigint, p_more text) RETURNS text LANGUAGE sql AS $$ SELECT p_more $$`,
		`UPDATE mana.schema_functions SET checksum = 'older' WHERE name = 'credits.reap'`,
		`CREATE FUNCTION credits.relic() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$`,
		`INSERT INTO mana.schema_functions (name, checksum) VALUES ('credits.relic', 'gone')`,
		`RESET ROLE`)

	before, err := migrations.Check(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"credits.reap", "credits.relic"}, before.Functions); diff != "" || before.Complete() {
		t.Errorf("before, complete %v:\n%s", before.Complete(), diff)
	}
	apply(t, db.DSN)
	after, err := migrations.Check(t.Context(), conn)
	if err != nil || !after.Complete() {
		t.Errorf("after: %+v, %v", after, err)
	}
	var reap, relic int
	err = connect(t, db.AdminDSN()).QueryRow(t.Context(), `
		SELECT count(*) FILTER (WHERE proname = 'reap' AND pg_get_function_arguments(oid) = 'p_limit integer'
		                          AND has_function_privilege('mana_system', oid, 'EXECUTE')),
		       count(*) FILTER (WHERE proname = 'relic')
		FROM pg_proc WHERE pronamespace = 'credits'::regnamespace`).Scan(&reap, &relic)
	if err != nil || reap != 1 || relic != 0 {
		t.Errorf("reap %d, relic %d, %v", reap, relic, err)
	}
}
