package migrations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"
)

//go:embed functions/*.sql
var functionFiles embed.FS

// function is one file of functions/: the definition of the function it is
// named after.
type function struct {
	name     string // schema and name, such as "credits.debit"
	checksum [sha256.Size]byte
	sql      string
}

var functionName = regexp.MustCompile(`^([a-z]+\.[a-z0-9_]+)\.sql$`)

// loadFunctions returns the embedded functions in the order of their names.
func loadFunctions() ([]function, error) {
	entries, err := fs.ReadDir(functionFiles, "functions")
	if err != nil {
		return nil, fmt.Errorf("read embedded functions: %w", err)
	}
	var all []function
	for _, entry := range entries {
		parts := functionName.FindStringSubmatch(entry.Name())
		if parts == nil {
			return nil, fmt.Errorf("function file %q: name is not schema.function.sql", entry.Name())
		}
		sql, err := fs.ReadFile(functionFiles, "functions/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read function %q: %w", entry.Name(), err)
		}
		all = append(all, function{parts[1], sha256.Sum256(sql), string(sql)})
	}
	return all, nil
}

// applyFunctions brings the functions to what the files say, all in one
// transaction. The database must have every migration.
func applyFunctions(ctx context.Context, conn *pgx.Conn) error {
	if stale, err := staleFunctions(ctx, conn); err != nil || len(stale) == 0 {
		return err
	}
	all, err := loadFunctions()
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMigration})
	if err != nil {
		return fmt.Errorf("begin functions: %w", err)
	}
	defer rollback(ctx, tx)
	known, err := checksumsTx(ctx, tx)
	if err != nil {
		return err
	}
	for _, f := range all {
		if !bytes.Equal(known[f.name], f.checksum[:]) {
			if err := replaceFunctionTx(ctx, tx, f); err != nil {
				return err
			}
		}
		delete(known, f.name)
	}
	for name := range known { // its file is gone
		if err := dropFunctionTx(ctx, tx, name); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit functions: %w", err)
	}
	return nil
}

// replaceFunctionTx makes the function anew, for its arguments may differ too.
func replaceFunctionTx(ctx context.Context, tx pgx.Tx, f function) error {
	if err := dropFunctionTx(ctx, tx, f.name); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, f.sql); err != nil {
		return fmt.Errorf("make function %s: %w", f.name, err)
	}
	if _, err := tx.Exec(ctx, "GRANT EXECUTE ON FUNCTION "+f.name+" TO mana_system"); err != nil {
		return fmt.Errorf("grant function %s: %w", f.name, err)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO mana.schema_functions (name, checksum)
		VALUES ($1, $2)`, pgx.QueryExecModeExec, f.name, f.checksum[:])
	if err != nil {
		return fmt.Errorf("record function %s: %w", f.name, err)
	}
	return nil
}

// dropFunctionTx drops the function, whatever its arguments, and its record.
func dropFunctionTx(ctx context.Context, tx pgx.Tx, name string) error {
	rows, err := tx.Query(ctx, `
		SELECT p.oid::regprocedure::text
		FROM pg_catalog.pg_proc p
		JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname || '.' || p.proname = $1`, pgx.QueryExecModeExec, name)
	if err != nil {
		return fmt.Errorf("look for function %s: %w", name, err)
	}
	overloads, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for function %s: %w", name, err)
	}
	for _, signature := range overloads {
		if _, err := tx.Exec(ctx, "DROP FUNCTION "+signature); err != nil {
			return fmt.Errorf("drop function %s: %w", name, err)
		}
	}
	_, err = tx.Exec(ctx, `
		DELETE FROM mana.schema_functions
		WHERE name = $1`, pgx.QueryExecModeExec, name)
	if err != nil {
		return fmt.Errorf("forget function %s: %w", name, err)
	}
	return nil
}

// staleFunctions names the functions that differ from this binary's: all of
// them where the database does not keep them yet.
func staleFunctions(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	all, err := loadFunctions()
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	defer rollback(ctx, tx)
	known := map[string][]byte{}
	exists, err := tableExistsTx(ctx, tx, "schema_functions")
	if err != nil {
		return nil, err
	}
	if exists {
		if _, err := tx.Exec(ctx, "SET LOCAL ROLE mana_system"); err != nil {
			return nil, fmt.Errorf("read functions: %w", err)
		}
		if known, err = checksumsTx(ctx, tx); err != nil {
			return nil, err
		}
	}
	var stale []string
	for _, f := range all {
		if !bytes.Equal(known[f.name], f.checksum[:]) {
			stale = append(stale, f.name)
		}
		delete(known, f.name)
	}
	return append(stale, slices.Sorted(maps.Keys(known))...), nil
}

// checksumsTx are those of the functions that the database has.
func checksumsTx(ctx context.Context, tx pgx.Tx) (map[string][]byte, error) {
	rows, err := tx.Query(ctx, `
		SELECT name, checksum
		FROM mana.schema_functions`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	known := map[string][]byte{}
	var name string
	var checksum []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &checksum}, func() error {
		known[name] = bytes.Clone(checksum)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	return known, nil
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
