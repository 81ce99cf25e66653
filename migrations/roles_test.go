package migrations_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
)

// restricted makes a login role that may neither create roles nor schemas, and
// a database that is not its own.
func restricted(t *testing.T, server *localpg.Server, name string) (login, admin *pgx.Conn) {
	t.Helper()
	root := connect(t, server.AdminDSN())
	quoted := pgx.Identifier{name}.Sanitize()
	execAll(t, root, "CREATE ROLE "+quoted+" LOGIN PASSWORD 'secret'", "CREATE DATABASE "+quoted,
		"REVOKE ALL ON DATABASE "+quoted+" FROM PUBLIC", "GRANT CONNECT ON DATABASE "+quoted+" TO "+quoted)
	config, err := pgx.ParseConfig(server.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	config.Database = name
	if admin, err = pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.Background()) })
	config.User, config.Password = name, "secret"
	if login, err = pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { login.Close(context.Background()) })
	return login, admin
}

// refusal returns the statements that Apply asks for.
func refusal(t *testing.T, login *pgx.Conn) []string {
	t.Helper()
	_, err := migrations.Apply(t.Context(), login)
	var fault *migrations.RoleError
	if !errors.As(err, &fault) {
		t.Fatalf("Apply: %v, want a RoleError", err)
	}
	for _, sql := range fault.Statements {
		if !strings.Contains(err.Error(), sql) {
			t.Errorf("%q does not tell %q", err, sql)
		}
	}
	return fault.Statements
}

func TestStatementsOfRoleErrorSuffice(t *testing.T) {
	t.Parallel()
	server := cluster(t)
	// In turn: no role there; roles there, login role no member.
	for _, name := range []string{"first", `Second "quoted"`} {
		login, admin := restricted(t, server, name)
		if s, err := migrations.Check(t.Context(), login); err != nil || s.Current != 0 {
			t.Errorf("%s: Check: %+v, %v", name, s, err)
		}
		execAll(t, admin, refusal(t, login)...)
		if _, err := migrations.Apply(t.Context(), login); err != nil {
			t.Errorf("%s: Apply after the statements: %v", name, err)
		}
		if s, err := migrations.Check(t.Context(), login); err != nil || len(s.Pending) > 0 {
			t.Errorf("%s: Check after the statements: %+v, %v", name, s, err)
		}
	}
	admin := connect(t, server.AdminDSN())
	for _, part := range []string{"mana_owner", "mana_user", "mana_system"} {
		var login, mighty bool
		err := admin.QueryRow(t.Context(), `
			SELECT rolcanlogin, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
			FROM pg_roles WHERE rolname = $1`, part).Scan(&login, &mighty)
		if err != nil || login || mighty {
			t.Errorf("%s: login %t, more than a plain role %t, %v", part, login, mighty, err)
		}
	}
}

func TestStrangerAsksForMembership(t *testing.T) {
	t.Parallel()
	server := cluster(t)
	apply(t, server.DSN())
	execAll(t, connect(t, server.AdminDSN()), `CREATE ROLE stranger LOGIN PASSWORD 'secret'`, `GRANT CONNECT ON DATABASE mana TO stranger`)
	config, err := pgx.ParseConfig(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Password = "stranger", "secret"
	login, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer login.Close(context.Background())
	var fault *migrations.RoleError
	if s, err := migrations.Check(t.Context(), login); !errors.As(err, &fault) {
		t.Fatalf("Check: %+v, %v, want a RoleError", s, err)
	}
	execAll(t, connect(t, server.AdminDSN()), fault.Statements...)
	for _, run := range []func(context.Context, *pgx.Conn) (migrations.Status, error){migrations.Check, migrations.Apply} {
		if s, err := run(t.Context(), login); err != nil || len(s.Pending) > 0 {
			t.Errorf("after the statements: %+v, %v", s, err)
		}
	}
}

// A login role that inherits nothing (the rule since PostgreSQL 16) still can
// have a statement described before its transaction takes a role on.
func TestLoginRoleWithoutInheritance(t *testing.T) {
	t.Parallel()
	server := cluster(t)
	execAll(t, connect(t, server.AdminDSN()), `ALTER ROLE mana NOINHERIT`)
	apply(t, server.DSN())
	config, err := pgxpool.ParseConfig(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe} {
		config.ConnConfig.DefaultQueryExecMode = mode
		pool, err := pgxpool.NewWithConfig(t.Context(), config.Copy())
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if _, err := dbscope.Row[struct{ N int64 }](t.Context(), pool, dbscope.User("alice", "user"),
			`SELECT count(*) AS n FROM auth.users WHERE id = $1`, "alice"); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if _, err := pool.Exec(t.Context(), `SELECT FROM auth.users`); !denied(err) {
			t.Errorf("%s: the login role itself: %v", mode, err)
		}
	}
}

func TestMightyRoleIsRefused(t *testing.T) {
	t.Parallel()
	for _, attribute := range []string{"BYPASSRLS", "SUPERUSER"} {
		server := cluster(t)
		admin := connect(t, server.AdminDSN())
		execAll(t, admin, `CREATE ROLE mana_user NOLOGIN `+attribute)
		login := connect(t, server.DSN())
		execAll(t, admin, refusal(t, login)...)
		if _, err := migrations.Apply(t.Context(), login); err != nil {
			t.Errorf("%s: Apply after the statements: %v", attribute, err)
		}
	}
}

func TestNoRoleIsAboveRowSecurity(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows, err := db.Pool.Query(t.Context(), `
		SELECT rolname::text FROM pg_roles
		WHERE (rolname LIKE 'mana\_%' OR rolname = session_user) AND (rolsuper OR rolbypassrls)
		UNION ALL
		SELECT a.rolname || ' acts as ' || b.rolname FROM pg_roles a, pg_roles b
		WHERE a.rolname LIKE 'mana\_%' AND a.oid <> b.oid AND pg_has_role(a.oid, b.oid, 'MEMBER')`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(found) > 0 {
		t.Errorf("roles with too much power: %v, %v", found, err)
	}
}
