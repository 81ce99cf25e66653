package migrations

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// RoleError says that the login role may not create or grant the roles of this
// package. Statements, run in order in the same database by a superuser (or
// whoever administers the roles), make the next [Apply] pass. They hold no
// secret.
type RoleError struct{ Statements []string }

func (e *RoleError) Error() string {
	return "the login role may not set up the database roles; let an administrator run: " + strings.Join(e.Statements, " ")
}

// races is how often a lost race for the cluster's shared catalogs is run
// again. Advisory locks do not help there: they belong to one database.
const races = 50

// prepareRoles creates the roles, makes the login role a member and lets
// mana_owner create schemas, as far as that is not so yet.
func prepareRoles(ctx context.Context, conn *pgx.Conn) error {
	for attempt := 1; ; attempt++ {
		missing, err := roleStatements(ctx, conn)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return nil
		}
		err = execAll(ctx, conn, missing)
		switch {
		case refused(err), err == nil && attempt > 1: // a grant that gives nothing is only a warning
			return roleFault(ctx, conn, err)
		case err != nil && (!raced(err) || attempt == races):
			return fmt.Errorf("set up database roles: %w", err)
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("set up database roles: %w", ctx.Err())
		case <-time.After(rand.N(20 * time.Millisecond)): //nolint:forbidigo,gosec // spreads retries, guards nothing
		}
	}
}

func execAll(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// roleFault turns a refusal into a [*RoleError]; cause where no statement
// would help, nil where a concurrent run has just repaired everything.
func roleFault(ctx context.Context, conn *pgx.Conn, cause error) error {
	missing, err := roleStatements(ctx, conn)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return cause
	}
	return &RoleError{Statements: missing}
}

// roleStatements returns what must run so that the roles are as they should
// be, in order; nothing if they are.
func roleStatements(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	var modern bool
	var login, database string
	err := conn.QueryRow(ctx, `
		SELECT session_user::text, current_database()::text, current_setting('server_version_num')::int >= 160000`,
		pgx.QueryExecModeExec).Scan(&login, &database, &modern)
	if err != nil {
		return nil, fmt.Errorf("read login role: %w", err)
	}
	// Since PostgreSQL 16 membership says by itself what it allows; before,
	// every member may take the role on.
	may, with := "MEMBER", ""
	if modern {
		may, with = "SET", " WITH INHERIT FALSE, SET TRUE"
	}
	rows, err := conn.Query(ctx, `
		SELECT wanted.name,
		       r.oid IS NOT NULL,
		       coalesce(r.rolsuper OR r.rolbypassrls, false),
		       coalesce(pg_has_role(session_user, r.oid, $1), false),
		       coalesce(has_database_privilege(r.oid, current_database(), 'CREATE'), false)
		FROM unnest(ARRAY['mana_owner', 'mana_user', 'mana_system']) WITH ORDINALITY wanted (name, nr)
		LEFT JOIN pg_catalog.pg_roles r ON r.rolname = wanted.name
		ORDER BY wanted.nr`, pgx.QueryExecModeExec, may)
	if err != nil {
		return nil, fmt.Errorf("read database roles: %w", err)
	}
	var create, grant []string
	var name string
	var exists, mighty, member, creates bool
	_, err = pgx.ForEachRow(rows, []any{&name, &exists, &mighty, &member, &creates}, func() error {
		if !exists {
			create = append(create, "CREATE ROLE "+name+" NOLOGIN;")
		}
		if mighty {
			create = append(create, "ALTER ROLE "+name+" NOSUPERUSER NOBYPASSRLS;")
		}
		if !member {
			grant = append(grant, "GRANT "+name+" TO "+pgx.Identifier{login}.Sanitize()+with+";")
		}
		if name == "mana_owner" && !creates {
			grant = append(grant, "GRANT CREATE ON DATABASE "+pgx.Identifier{database}.Sanitize()+" TO mana_owner;")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read database roles: %w", err)
	}
	return append(create, grant...), nil
}

// raced reports that another database of the cluster changed the same role at
// the same moment.
func raced(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "42710", // duplicate_object
		"23505", // unique_violation, of a shared catalog
		"40P01", // deadlock_detected
		"55P03": // lock_not_available
		return true
	case "XX000": // internal_error, whose text PostgreSQL never translates
		return strings.Contains(pg.Message, "tuple concurrently") || strings.Contains(pg.Message, "cache lookup failed")
	}
	return false
}

// PrepareRoles creates the roles of an empty database, so that a dump of another
// one can be loaded into it, and makes the login role of conn a member. Errors:
// as those of [Apply].
func PrepareRoles(ctx context.Context, conn *pgx.Conn) error { return prepareRoles(ctx, conn) }
