package dbscope_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
)

// serverConnections is fewer than there are clients, so that they share.
const serverConnections = 3

// bouncer starts a PgBouncer in transaction mode in front of db and returns a
// DSN through it. It ends with the test or, at the latest, with the process.
func bouncer(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer"
	}
	server, err := pgx.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	files := map[string]string{
		"users": fmt.Sprintf("%q %q\n", server.User, server.Password),
		"ini": fmt.Sprintf(`[databases]
%s = host=%s port=%d
[pgbouncer]
listen_port = 6432
unix_socket_dir = %s
auth_type = scram-sha-256
auth_file = %s
server_tls_sslmode = disable
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout,extra_float_digits
`, server.Database, server.Host, server.Port, dir, filepath.Join(dir, "users"), serverConnections),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The shell waits for its input to end: an orphan is never left behind.
	cmd := exec.Command("/bin/sh", "-c", `"$1" -q "$2" & pid=$!; cat >/dev/null; kill "$pid"; wait "$pid"`, "sh", path, filepath.Join(dir, "ini"))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = unprivileged(t, server.Host, dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	socket := filepath.Join(dir, ".s.PGSQL.6432")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
	return fmt.Sprintf("host=%s port=6432 user=%s password=%s dbname=%s sslmode=disable", dir, server.User, server.Password, server.Database)
}

// unprivileged hands dir to the user PgBouncer runs as where this process is
// root, which PgBouncer refuses: the owner of PostgreSQL's socket, else nobody.
func unprivileged(t *testing.T, host, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	var id syscall.Credential
	if info, err := os.Stat(host); err == nil {
		st := info.Sys().(*syscall.Stat_t)
		id.Uid, id.Gid = st.Uid, st.Gid
	} else {
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		id.Uid, id.Gid = uint32(uid), uint32(gid)
	}
	for _, path := range []string{dir, filepath.Join(dir, "users"), filepath.Join(dir, "ini")} {
		if err := os.Chown(path, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &id}
}

// bounced are the modes that work through a PgBouncer that does not track
// prepared statements.
var bounced = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

func TestPgBouncerNeverMixesUsers(t *testing.T) {
	t.Parallel()
	for _, mode := range bounced {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			const people, workers, rounds = 8, 16, 60
			if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
				WITH people AS (
					INSERT INTO auth.users (id, name, email)
					SELECT 'user-' || i, '', 'user-' || i FROM generate_series(1, $1::int) i RETURNING id)
				SELECT FROM people`, people); err != nil {
				t.Fatal(err)
			}
			if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
				`INSERT INTO auth.user_settings (user_id) SELECT id FROM auth.users`); err != nil {
				t.Fatal(err)
			}
			pool := open(t, bouncer(t, db), mode, workers)
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range rounds {
						id := fmt.Sprintf("user-%d", 1+rand.N(people))
						if err := visit(t.Context(), pool, id, people); err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// visit does one random thing as the user and says what it saw too much.
func visit(ctx context.Context, pool *pgxpool.Pool, id string, people int64) error {
	scope := dbscope.User(id, "user")
	type owner struct{ UserID string }
	own := func(rows []owner, err error) error {
		if err == nil && (len(rows) != 1 || rows[0].UserID != id) {
			err = fmt.Errorf("sees %v", rows)
		}
		return err
	}
	switch rand.N(7) {
	case 0:
		return own(dbscope.Rows[owner](ctx, pool, scope, `SELECT user_id FROM auth.user_settings WHERE user_id <> $1`, "x"))
	case 1:
		return own(dbscope.Rows[owner](ctx, pool, scope,
			`UPDATE auth.user_settings SET app_overrides = jsonb_build_object('by', $1::text) RETURNING user_id`, id))
	case 2:
		return dbscope.InTx(ctx, pool, scope, func(tx pgx.Tx) error {
			for range 3 {
				rows, err := tx.Query(ctx, `SELECT user_id FROM auth.user_settings`)
				if err != nil {
					return err
				}
				if err := own(pgx.CollectRows(rows, pgx.RowToStructByName[owner])); err != nil {
					return err
				}
			}
			return nil
		})
	case 3: // fails inside the scope
		if _, err := dbscope.Exec(ctx, pool, scope, `SELECT 1 / $1::int`, 0); code(err) != "22012" {
			return fmt.Errorf("division: %w", err)
		}
		return nil
	case 4:
		undo := errors.New("undo")
		if err := dbscope.InTx(ctx, pool, scope, func(pgx.Tx) error { return undo }); err != undo {
			return err
		}
		return nil
	case 5:
		row, err := dbscope.Row[struct{ N int64 }](ctx, pool, dbscope.System(), `SELECT count(*) AS n FROM auth.user_settings`)
		if err == nil && row.N != people {
			err = fmt.Errorf("system sees %d rows", row.N)
		}
		return err
	default:
		got, err := unscoped(ctx, pool)
		if err == nil && got != nobody {
			err = fmt.Errorf("left behind: %+v", got)
		}
		return err
	}
}

func TestPgBouncerKeepsScopes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	dsn := bouncer(t, db)
	for _, mode := range bounced {
		pool := open(t, dsn, mode, 1)
		wantScope(t, pool, mode.String(), dbscope.User(`o'\brien`, "user"), setting{"mana_user", `o'\brien`, "user"})
		wantScope(t, pool, mode.String(), dbscope.System(), setting{Acts: "mana_system"})
	}
}

func TestMigrationsThroughPgBouncer(t *testing.T) {
	t.Parallel()
	dsn := bouncer(t, pgtest.Empty(t))
	var wg sync.WaitGroup
	for range 3 {
		conn, err := pgx.Connect(t.Context(), dsn) // in the default mode
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		wg.Go(func() {
			if s, err := migrations.Apply(t.Context(), conn); err != nil || s.Current != s.Latest {
				t.Errorf("Apply: %+v, %v", s, err)
			}
			if s, err := migrations.Check(t.Context(), conn); err != nil || len(s.Pending) > 0 {
				t.Errorf("Check: %+v, %v", s, err)
			}
		})
	}
	wg.Wait()
}
