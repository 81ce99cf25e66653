package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// small are indexes of tables that stay so small that it does not matter.
var small = map[string]bool{"subscriptions.plans_name_idx": true}

// Row-level security keeps from an index each condition that might tell of rows which the
// policy hides: what it takes for one depends on how the expression of the index is written.
func TestSystemFindsByExpressions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows, err := db.Pool.Query(t.Context(), `
		SELECT format('%I.%I', x.relnamespace::regnamespace, x.relname) AS name, format('%I.%I', x.relnamespace::regnamespace, c.relname) AS "table",
		       pg_get_indexdef(i.indexrelid, 1, false) AS key, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') AS predicate,
		       format_type(a.atttypid, a.atttypmod) AS type
		FROM pg_index AS i
		JOIN pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_class AS c ON c.oid = i.indrelid
		JOIN pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = 1
		WHERE x.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND i.indkey[0] = 0`)
	if err != nil {
		t.Fatal(err)
	}
	type index struct{ Name, Table, Key, Predicate, Type string }
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByName[index])
	if err != nil || len(indexes) < 3 {
		t.Fatalf("%d indexes, %v", len(indexes), err)
	}
	for _, x := range indexes {
		err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			for _, sql := range []string{
				`SET LOCAL plan_cache_mode = force_generic_plan`, `SET LOCAL enable_seqscan = off`,
				fmt.Sprintf(`PREPARE look (%s) AS SELECT 1 FROM %s WHERE %s = $1 AND %s`, x.Type, x.Table, x.Key, x.Predicate),
			} {
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
			}
			rows, err := tx.Query(t.Context(), `EXPLAIN EXECUTE look (NULL)`, pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return err
			}
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `DEALLOCATE look`); err != nil {
				return err
			}
			text := strings.Join(plan, "\n")
			if !strings.Contains(text, "Index Cond: (") && !small[x.Name] {
				t.Errorf("%s is not used to find %s:\n%s", x.Name, x.Key, text)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
}
