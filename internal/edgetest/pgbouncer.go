package edgetest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// ThroughPgBouncer returns the URL of a PgBouncer in transaction mode in front
// of the database. It does not know any startup parameter but the usual.
func ThroughPgBouncer(t testing.TB, db *pgtest.Database) string {
	t.Helper()
	server, err := pgx.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	address := freeport.Address(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mana-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	users := filepath.Join(dir, "users.txt")
	config := filepath.Join(dir, "pgbouncer.ini")
	for file, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", server.User, server.Password),
		config: fmt.Sprintf(`[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 4
`, server.Host, server.Port, port, users),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, pgbouncerBinary(t), config)
	cmd.Dir = "/"
	if os.Getuid() == 0 { // PgBouncer does not run as root; the socket's owner may use it
		info, err := os.Stat(server.Host)
		if err != nil {
			t.Fatal(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	Eventually(t, "PgBouncer listens", func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(server.User, server.Password),
		Host: address, Path: "/" + server.Database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// pgbouncerBinary is in a folder that is not on everyone's PATH.
func pgbouncerBinary(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("PgBouncer is not installed")
	return ""
}
