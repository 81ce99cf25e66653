package migrations_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
)

func TestEveryTableIsCovered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var known []string
	for _, tab := range tables {
		known = append(known, tab.name)
	}
	slices.Sort(known)
	if diff := cmp.Diff(known, relations(t, db, "rpf")); diff != "" {
		t.Errorf("tables of this test and of the database differ (-test +database):\n%s", diff)
	}
	// Views are read with their owner's rights: each needs a test of its own.
	if diff := cmp.Diff([]string{"auth.my_memberships"}, relations(t, db, "vm")); diff != "" {
		t.Errorf("views (-test +database):\n%s", diff)
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, sql := range map[string]string{
		"table without forced row security": `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname IN ('auth', 'mana') AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
		"relation of another owner": `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relowner <> 'mana_owner'::regrole`,
		"schema of another owner": `
			SELECT nspname::text FROM pg_namespace
			WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') AND nspowner <> 'mana_owner'::regrole`,
		"function of another owner, or with its owner's rights": `
			SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname IN ('auth', 'mana') AND (p.prosecdef OR p.proowner <> 'mana_owner'::regrole)`,
		"policy that does not ask who is acting": `
			SELECT polname || ' on ' || polrelid::regclass FROM pg_policy
			WHERE coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '') !~ 'CURRENT_USER = ''mana_'
			   OR polroles = '{0}'`,
		"privilege of PUBLIC": `
			SELECT what FROM (
				SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault('r', c.relowner)), c.relnamespace FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm')
				UNION ALL SELECT p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)), p.pronamespace FROM pg_proc p
				UNION ALL SELECT y.oid::regtype::text, coalesce(y.typacl, acldefault('T', y.typowner)), y.typnamespace FROM pg_type y WHERE y.typtype IN ('e', 'd')
				UNION ALL SELECT n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner)), n.oid FROM pg_namespace n) objects (what, acl, schema)
			WHERE schema IN ('auth'::regnamespace, 'mana'::regnamespace)
			  AND EXISTS (SELECT FROM aclexplode(acl) WHERE grantee = 0)`,
		"index under a collation that an upgrade of a library can change": `
			SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
			WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
			  AND EXISTS (SELECT FROM unnest(i.indcollation) AS used WHERE used NOT IN (0, '"C"'::regcollation))`,
		"index by an operator that row-level security keeps from it": `
			SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid, unnest(i.indclass) AS used
			JOIN pg_opclass AS o ON o.oid = used
			JOIN pg_amop AS a ON a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype AND a.amopstrategy = 3
			JOIN pg_operator AS p ON p.oid = a.amopopr JOIN pg_proc AS f ON f.oid = p.oprcode
			WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND NOT f.proleakproof`,
		"id under a collation that an upgrade of a library can change": `
			SELECT a.attrelid::regclass || ' ' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
			WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'p')
			  AND a.attname ~ '(^|_)id$' AND a.attcollation NOT IN (0, '"C"'::regcollation)`,
		"foreign key without an index": `
			SELECT k.conrelid::regclass || ' ' || k.conname FROM pg_constraint k
			WHERE k.contype = 'f' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1])`,
	} {
		rows, err := db.Pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}
