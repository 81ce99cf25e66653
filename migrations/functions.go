package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/migrations/functions"
)

// SetUsedEvery is how often a running edge says that it uses its set of functions,
// by [UseSet].
const SetUsedEvery = time.Hour

// UseSet is the statement by which an edge says, as mana_system, that its set of
// functions is used still. It changes no row where it was used a moment ago.
var UseSet = `UPDATE mana.function_sets SET used_at = now()
	WHERE schema = '` + functions.Schema + `' AND used_at < now() - interval '30 minutes'`

// setUnused is how long nobody has used a set that is dropped.
const setUnused = "7 days"

// applyFunctions makes the set of functions of this binary where it is not there
// yet, and drops those that nobody has used for a week. The database must have
// every migration.
func applyFunctions(ctx context.Context, conn *pgx.Conn) error {
	there, err := hasFunctions(ctx, conn)
	if err != nil {
		return err
	}
	if there {
		return useFunctions(ctx, conn)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMigration})
	if err != nil {
		return fmt.Errorf("begin functions: %w", err)
	}
	defer rollback(ctx, tx)
	if there, err = setExistsTx(ctx, tx); err != nil || there { // another edge was faster
		return err
	}
	if err := makeSetTx(ctx, tx); err != nil {
		return err
	}
	if err := dropSetsTx(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit functions: %w", err)
	}
	return nil
}

func makeSetTx(ctx context.Context, tx pgx.Tx) error {
	schema := pgx.Identifier{functions.Schema}.Sanitize()
	if _, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
		return fmt.Errorf("drop a set of functions that is on no list: %w", err)
	}
	if _, err := tx.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		return fmt.Errorf("make a schema of functions: %w", err)
	}
	for _, f := range functions.All() {
		if _, err := tx.Exec(ctx, f.SQL); err != nil {
			return fmt.Errorf("make function %s: %w", f.Name, err)
		}
	}
	for _, grant := range []string{
		"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA " + schema + " FROM PUBLIC",
		"GRANT USAGE ON SCHEMA " + schema + " TO mana_system",
		"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA " + schema + " TO mana_system",
	} {
		if _, err := tx.Exec(ctx, grant); err != nil {
			return fmt.Errorf("grant functions: %w", err)
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO mana.function_sets (schema)
		VALUES ($1)
		ON CONFLICT (schema) DO UPDATE SET made_at = now(), used_at = now()`, pgx.QueryExecModeExec, functions.Schema)
	if err != nil {
		return fmt.Errorf("record functions: %w", err)
	}
	return nil
}

// dropSetsTx drops the sets that nobody has used for long. Those of binaries that
// knew no sets stand in the schema credits.
func dropSetsTx(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		DELETE FROM mana.function_sets
		WHERE used_at < now() - $1::interval
		RETURNING schema`, pgx.QueryExecModeExec, setUnused)
	if err != nil {
		return fmt.Errorf("look for old functions: %w", err)
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for old functions: %w", err)
	}
	for _, schema := range schemas {
		if schema == "credits" {
			err = dropListedTx(ctx, tx)
		} else {
			_, err = tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE")
		}
		if err != nil {
			return fmt.Errorf("drop old functions of %s: %w", schema, err)
		}
	}
	return nil
}

// dropListedTx drops the functions of binaries that knew no sets.
func dropListedTx(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT p.oid::regprocedure::text
		FROM pg_catalog.pg_proc AS p
		JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
		JOIN mana.schema_functions AS f ON f.name = n.nspname || '.' || p.proname`, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	signatures, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, signature := range signatures {
		if _, err := tx.Exec(ctx, "DROP FUNCTION "+signature); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM mana.schema_functions`)
	return err
}

// useFunctions says that the set of this binary is used still.
func useFunctions(ctx context.Context, conn *pgx.Conn) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("use functions: %w", err)
	}
	defer rollback(ctx, tx)
	for _, sql := range []string{"SET LOCAL ROLE mana_system", UseSet} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("use functions: %w", err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("use functions: %w", err)
	}
	return nil
}

// hasFunctions reports whether the database has this binary's set of functions.
func hasFunctions(ctx context.Context, conn *pgx.Conn) (bool, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return false, fmt.Errorf("read functions: %w", err)
	}
	defer rollback(ctx, tx)
	exists, err := tableExistsTx(ctx, tx, "function_sets")
	if err != nil || !exists {
		return false, err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL ROLE mana_system"); err != nil {
		return false, fmt.Errorf("read functions: %w", err)
	}
	return setExistsTx(ctx, tx)
}

func setExistsTx(ctx context.Context, tx pgx.Tx) (exists bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM mana.function_sets AS s
			JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schema
			WHERE s.schema = $1)`, pgx.QueryExecModeExec, functions.Schema).Scan(&exists)
	if err != nil {
		return false, fmt.Errorf("read functions: %w", err)
	}
	return exists, nil
}

// tableExistsTx reports whether schema mana has the table.
func tableExistsTx(ctx context.Context, tx pgx.Tx, name string) (exists bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'mana' AND c.relname = $1)`,
		pgx.QueryExecModeExec, name).Scan(&exists)
	if err != nil {
		return false, fmt.Errorf("look for mana.%s: %w", name, err)
	}
	return exists, nil
}
