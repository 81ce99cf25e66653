package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func apply(t *testing.T, dsn string) migrations.Status {
	t.Helper()
	s, err := migrations.Apply(t.Context(), connect(t, dsn))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cluster returns a server of its own, without our roles.
func cluster(t *testing.T) *localpg.Server {
	t.Helper()
	s, err := localpg.Start(t.Context(), localpg.Config{Dir: pgtest.Dir(t), Options: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func onDatabase(t *testing.T, dsn, name string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execAll(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn := connect(t, db.DSN)
	before, err := migrations.Check(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if before.Current != 0 || before.Latest == 0 || len(before.Pending) != before.Latest || !before.Functions {
		t.Errorf("status of an empty database: %+v", before)
	}
	want := migrations.Status{Current: before.Latest, Latest: before.Latest}
	for _, applied := range [][]string{before.Pending, nil} {
		done := want
		done.Applied = applied
		if diff := cmp.Diff(done, apply(t, db.DSN)); diff != "" {
			t.Errorf("status after Apply (-want +got):\n%s", diff)
		}
		got, err := migrations.Check(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status of Check (-want +got):\n%s", diff)
		}
	}
}

func TestSecondApplyChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	apply(t, db.DSN)
	// Rows of these catalogs are rewritten by whatever DDL or GRANT there is.
	fingerprint := func() string {
		var sum string
		err := connect(t, db.AdminDSN()).QueryRow(t.Context(), `
			SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
				SELECT 'c' || oid || xmin AS line FROM pg_class WHERE relnamespace >= 16384
				UNION ALL SELECT 'n' || oid || xmin FROM pg_namespace
				UNION ALL SELECT 'p' || oid || xmin FROM pg_policy
				UNION ALL SELECT 'd' || oid || xmin FROM pg_database WHERE datname = current_database()
				UNION ALL SELECT 'm' || version || xmin FROM mana.schema_migrations) lines`).Scan(&sum)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	before := fingerprint()
	apply(t, db.DSN)
	if fingerprint() != before {
		t.Error("the second Apply changed the catalog")
	}
}

// Roles belong to the cluster, advisory locks to a database: several databases
// and several processes of each start at the same moment on a new cluster.
func TestConcurrentApply(t *testing.T) {
	t.Parallel()
	server := cluster(t)
	admin := connect(t, server.AdminDSN())
	const databases = 4
	var applied, latest atomic.Int64
	var wg sync.WaitGroup
	for i := range databases {
		name := fmt.Sprintf("edge_%d", i)
		execAll(t, admin, "CREATE DATABASE "+name+" OWNER mana")
		for range 3 {
			conn := connect(t, onDatabase(t, server.DSN(), name))
			wg.Go(func() {
				s, err := migrations.Apply(t.Context(), conn)
				if err != nil || s.Current != s.Latest {
					t.Errorf("%s: %+v, %v", name, s, err)
				}
				applied.Add(int64(len(s.Applied)))
				latest.Store(int64(s.Latest))
			})
		}
	}
	wg.Wait()
	if applied.Load() != databases*latest.Load() {
		t.Errorf("%d migrations say they were applied, there are %d in each of %d databases", applied.Load(), latest.Load(), databases)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn := connect(t, db.DSN)
	execAll(t, conn, `SET ROLE mana_owner`, `INSERT INTO mana.schema_migrations (version, name) VALUES (999, '0999_future')`, `RESET ROLE`)
	for name, run := range map[string]func(context.Context, *pgx.Conn) (migrations.Status, error){
		"Apply": migrations.Apply, "Check": migrations.Check,
	} {
		s, err := run(t.Context(), conn)
		if !errors.Is(err, migrations.ErrNewerSchema) || s.Current != 999 {
			t.Errorf("%s: %+v, %v", name, s, err)
			continue
		}
		if want := fmt.Sprintf("at version 999, this binary knows %d", s.Latest); !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%s: %q does not say %q", name, err, want)
		}
	}
}

func TestFailedMigrationLeavesNoTrace(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	// Somebody else's schema stands where the second migration makes its own.
	execAll(t, connect(t, db.AdminDSN()), `CREATE SCHEMA auth`)
	conn := connect(t, db.DSN)
	if s, err := migrations.Apply(t.Context(), conn); err == nil || s.Current != 1 {
		t.Fatalf("Apply: %+v, %v", s, err)
	}
	var role string
	if err := conn.QueryRow(t.Context(), `SELECT current_user`).Scan(&role); err != nil || role != "mana" {
		t.Errorf("the connection is left as %q, %v", role, err)
	}
	execAll(t, connect(t, db.AdminDSN()), `DROP SCHEMA auth`)
	apply(t, db.DSN)
}

// A COMMIT inside a file would part it from its record.
func TestFilesLeaveTransactionsAlone(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.sql")
	if err != nil {
		t.Fatal(err)
	}
	functions, err := filepath.Glob("functions/*.sql")
	if err != nil || len(functions) == 0 {
		t.Fatal(functions, err)
	}
	control := regexp.MustCompile(`(?mi)^\s*(BEGIN|COMMIT|ROLLBACK|END|START TRANSACTION|RESET ROLE)\s*;`)
	for _, name := range append(names, functions...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := control.Find(text); found != nil {
			t.Errorf("%s contains %q", name, found)
		}
	}
}
