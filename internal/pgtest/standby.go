package pgtest

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/localpg"
)

// Standby is a server that follows the one of a database by streaming replication.
type Standby struct {
	// DSN is the URL of the database on it, as an application uses it.
	DSN   string
	admin string
	cmd   *exec.Cmd
}

// NewStandby makes a base backup of the server and starts it as a standby, until
// the end of t.
func NewStandby(t testing.TB, db *Database) *Standby {
	t.Helper()
	primary, err := pgx.ParseConfig(db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	dir := Dir(t)
	info, err := os.Stat(primary.Host) // the folder of the socket: whose the server is
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	major := majorOf(t, db)
	command := func(name string, args ...string) *exec.Cmd {
		path, err := localpg.Tool(t.Context(), name, major)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
		cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + primary.Password}
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
		return cmd
	}
	data := filepath.Join(dir, "data") // where the watchdog looks
	port := strconv.Itoa(int(primary.Port))
	backup := command("pg_basebackup", "-h", primary.Host, "-p", port, "-U", primary.User, "-D", data, "-X", "stream", "-c", "fast", "-R")
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	s := &Standby{DSN: onSocket(t, db.DSN, dir), admin: onSocket(t, db.AdminDSN(), dir)}
	s.cmd = command("postgres", "-D", data, "-c", "port="+port, "-c", "listen_addresses=", "-c", "unix_socket_directories="+dir,
		"-c", "max_connections="+settings["max_connections"], "-c", "fsync=off")
	var log bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("standby:\n%s", log.String())
		}
	})
	for wait := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), s.admin)
		if err == nil {
			_ = conn.Close(t.Context())
			return s
		}
		if time.Now().After(wait) {
			t.Fatalf("the standby does not start: %v", err)
		}
	}
}

// Replay lets the standby take over what the other server wrote, or not.
func (s *Standby) Replay(t testing.TB, on bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	statement := `SELECT pg_wal_replay_pause()`
	if on {
		statement = `SELECT pg_wal_replay_resume()`
	}
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server at once.
func (s *Standby) Stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		_ = s.cmd.Wait()
	}
}

// majorOf is the major version of the server of a database.
func majorOf(t testing.TB, db *Database) (major int) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int / 10000`).Scan(&major); err != nil {
		t.Fatal(err)
	}
	return major
}

// onSocket points a DSN at the server that listens in another folder.
func onSocket(t testing.TB, dsn, dir string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	return u.String()
}
