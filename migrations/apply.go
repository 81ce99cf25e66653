package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// lockKey serialises migrations of one database ("mana" in ASCII).
const lockKey = 0x6d616e61

// Session state does not survive PgBouncer in transaction mode: timeouts, lock
// and role all belong to the transaction. The version is read after the lock.
var beginMigration = fmt.Sprintf(`BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true);
SELECT pg_advisory_xact_lock(%d);
SELECT set_config('role', 'mana_owner', true), set_config('lock_timeout', '30s', true)`, lockKey)

// Apply prepares the roles, applies every pending migration and makes the
// functions of this binary. It may run on
// several connections at once; each migration is applied by one of them. conn
// must not be inside a transaction; it may lead through PgBouncer in
// transaction mode.
//
// Errors: [*RoleError] if an owner must act first, [ErrNewerSchema], else what
// PostgreSQL said with the name of the migration. A migration that failed left
// no trace; those before it are applied.
func Apply(ctx context.Context, conn *pgx.Conn) (Status, error) {
	all, err := load()
	if err != nil {
		return Status{}, err
	}
	if err := prepareRoles(ctx, conn); err != nil {
		return Status{}, err
	}
	var applied []string
	for {
		current, err := readVersion(ctx, conn)
		if err != nil {
			return Status{}, err
		}
		s, err := status(all, current)
		s.Applied = applied
		if err != nil {
			return s, err
		}
		if len(s.Pending) == 0 {
			if err := applyFunctions(ctx, conn); err != nil {
				return s, err
			}
			return s, admitLogin(ctx, conn)
		}
		name, err := applyNext(ctx, conn, all)
		if err != nil {
			return s, err
		}
		if name != "" {
			applied = append(applied, name)
		}
	}
}

// Check reports how far the database has come and changes nothing. Errors:
// [*RoleError] if the login role may not act as the roles, [ErrNewerSchema]
// (with the Status set).
func Check(ctx context.Context, conn *pgx.Conn) (Status, error) {
	all, err := load()
	if err != nil {
		return Status{}, err
	}
	current, err := readVersion(ctx, conn)
	if refused(err) {
		err = roleFault(ctx, conn, err)
	}
	if err != nil {
		return Status{}, err
	}
	s, err := status(all, current)
	if err != nil {
		return s, err
	}
	there, err := hasFunctions(ctx, conn)
	s.Functions = !there
	return s, err
}

// applyNext applies the migration after the version found under the lock, if
// there is one left, and returns its name.
func applyNext(ctx context.Context, conn *pgx.Conn, all []migration) (string, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMigration})
	if err != nil {
		return "", fmt.Errorf("begin migration: %w", err)
	}
	defer rollback(ctx, tx)
	current, err := versionTx(ctx, tx, "mana_owner")
	if err != nil {
		return "", err
	}
	if current >= len(all) {
		return "", nil
	}
	next := all[current]
	if _, err := tx.Exec(ctx, next.sql); err != nil {
		return "", fmt.Errorf("apply migration %s: %w", next.name, err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO mana.schema_migrations (version, name)
		VALUES ($1, $2)`, pgx.QueryExecModeExec, next.version, next.name); err != nil {
		return "", fmt.Errorf("record migration %s: %w", next.name, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return "", fmt.Errorf("commit migration %s: %w", next.name, err)
	}
	return next.name, nil
}

// admitLogin lets the login role name objects of our schemas: pgx describes a
// statement before the role of its transaction is set, and names are resolved
// then. It gives no access to any table.
func admitLogin(ctx context.Context, conn *pgx.Conn) error {
	closed, err := closedSchemas(ctx, conn)
	if err != nil || len(closed) == 0 {
		return err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMigration})
	if err != nil {
		return fmt.Errorf("admit login role: %w", err)
	}
	defer rollback(ctx, tx)
	for _, schema := range closed {
		sql := "GRANT USAGE ON SCHEMA " + pgx.Identifier{schema}.Sanitize() + " TO SESSION_USER"
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("admit login role: %w", err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("admit login role: %w", err)
	}
	return nil
}

// closedSchemas returns our schemas that the login role may not use by a grant
// of its own or an inherited one.
func closedSchemas(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT nspname::text
		FROM pg_catalog.pg_namespace
		WHERE nspowner = 'mana_owner'::regrole
		  AND NOT has_schema_privilege(session_user, oid, 'USAGE')
		ORDER BY nspname`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	return names, nil
}

// readVersion reads the version in a transaction of its own, as the role that
// may: the login role sees no row of the table.
func readVersion(ctx context.Context, conn *pgx.Conn) (int, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	defer rollback(ctx, tx)
	return versionTx(ctx, tx, "mana_system")
}

// versionTx returns the greatest applied version, 0 where nothing is yet. It
// takes role on for the rest of the transaction if there is a version to read.
func versionTx(ctx context.Context, tx pgx.Tx, role string) (int, error) {
	exists, err := tableExistsTx(ctx, tx, "schema_migrations")
	if err != nil {
		return 0, err
	}
	if !exists {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, "SET LOCAL ROLE "+role); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	var version int
	err = tx.QueryRow(ctx, `
		SELECT coalesce(max(version), 0)
		FROM mana.schema_migrations`, pgx.QueryExecModeExec).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return version, nil
}

// rollback ends tx if it is still open. A failure closes the connection, which
// ends the transaction as well.
func rollback(ctx context.Context, tx pgx.Tx) { _ = tx.Rollback(context.WithoutCancel(ctx)) }

// refused reports an answer that means "the login role may not do this".
func refused(err error) bool {
	const insufficientPrivilege, undefinedObject, invalidParameter = "42501", "42704", "22023"
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	return pg.Code == insufficientPrivilege || pg.Code == undefinedObject || pg.Code == invalidParameter
}
