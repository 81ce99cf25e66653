package localpg_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

// abandonVariable makes the test binary start a server in the directory it names
// and wait to be killed.
const abandonVariable = "LOCALPG_TEST_ABANDON"

func TestMain(m *testing.M) {
	if dir := os.Getenv(abandonVariable); dir != "" {
		if _, err := localpg.Start(context.Background(), config(dir)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {}
	}
	os.Exit(m.Run())
}

func config(dir string) localpg.Config {
	return localpg.Config{Dir: dir, Options: map[string]string{"fsync": "off"}}
}

func start(t *testing.T, cfg localpg.Config) *localpg.Server {
	t.Helper()
	s, err := localpg.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *localpg.Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// ask runs a statement that returns one text, or none.
func ask(ctx context.Context, dsn, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var answer string
	err = conn.QueryRow(ctx, sql).Scan(&answer)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return answer, err
}

func want(t *testing.T, dsn, sql, answer string) {
	t.Helper()
	got, err := ask(t.Context(), dsn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if got != answer {
		t.Errorf("%s: %q, want %q", sql, got, answer)
	}
}

// postmaster reads the process id of the server of a cluster.
func postmaster(t *testing.T, home string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(home, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestRestartKeepsDataAndAddress(t *testing.T) {
	t.Parallel()
	cfg := config(pgtest.Dir(t))
	first := start(t, cfg)
	if _, err := ask(t.Context(), first.DSN(), `CREATE TABLE kept AS SELECT 'still here' AS what`); err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	stop(t, first) // a second stop is harmless
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if _, err := ask(t.Context(), first.DSN(), `SELECT 'x'`); err == nil {
		t.Error("the server answers after Stop")
	}
	second := start(t, cfg)
	want(t, second.DSN(), `SELECT what FROM kept`, "still here")
	if first.DSN() != second.DSN() {
		t.Error("the address changed")
	}
}

func TestLoginRole(t *testing.T) {
	t.Parallel()
	s := start(t, config(pgtest.Dir(t)))
	want(t, s.DSN(), `
		SELECT concat_ws(' ', current_user, current_database(), d.datdba::regrole, rolsuper, rolcreaterole, rolbypassrls)
		FROM pg_roles, pg_database d WHERE rolname = current_user AND datname = current_database()`, "mana mana mana f t f")
	want(t, s.AdminDSN(), `SELECT current_user::text || rolsuper FROM pg_roles WHERE rolname = current_user`, "postgrestrue")
	want(t, s.AdminDSN(), `SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules`, "scram-sha-256")
	want(t, s.AdminDSN(), `SELECT string_agg(DISTINCT split_part(rolpassword, '$', 1), ' ') FROM pg_authid WHERE rolcanlogin`, "SCRAM-SHA-256")
	want(t, s.AdminDSN(), `SHOW fsync`, "off")
	want(t, s.AdminDSN(), `SHOW listen_addresses`, "")
	wrong, err := url.Parse(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("mana", "wrong")
	if _, err := ask(t.Context(), wrong.String(), `SELECT 'x'`); err == nil {
		t.Error("a wrong password is let in")
	}
}

func TestServerOutlivesTheContextOfItsStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := localpg.Start(ctx, config(pgtest.Dir(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	cancel()
	time.Sleep(100 * time.Millisecond)
	want(t, s.DSN(), `SELECT current_user::text`, "mana")
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // within initdb
	defer cancel()
	if s, err := localpg.Start(ctx, config(dir)); err == nil {
		stop(t, s)
		t.Fatal("started within 300 ms")
	}
	want(t, start(t, config(dir)).DSN(), `SELECT current_user::text`, "mana")
}

func TestLogIsSetAside(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	path := filepath.Join(dir, "postgres.log")
	if err := os.WriteFile(path, make([]byte, 11<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, config(dir))
	former, err := os.Stat(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	current, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if former.Size() != 11<<20 || current.Size() > 1<<20 {
		t.Errorf("sizes %d and %d", former.Size(), current.Size())
	}
}
