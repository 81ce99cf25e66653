package localpg_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

func TestServerRunsUnprivileged(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	start(t, config(dir))
	out, err := exec.Command("ps", "-o", "uid=,pgid=", "-p", strconv.Itoa(postmaster(t, dir))).Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 || fields[0] == "0" {
		t.Errorf("the server's uid and process group: %q", fields)
	}
	if own := strconv.Itoa(syscall.Getpgrp()); fields[1] == own {
		t.Error("the server shares this process's group, and with it Ctrl-C")
	}
}

func TestLoopbackWhereTheSocketPathIsTooLong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), strings.Repeat("long-", 20))
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	s := start(t, config(dir))
	want(t, s.DSN(), `SELECT host(inet_server_addr())`, "127.0.0.1")
	stop(t, s)
}

// A directory in a 0700 directory of root is out of the server user's reach. An
// unprivileged process reaches its own.
func TestUnreachableDirectory(t *testing.T) {
	t.Parallel()
	top := pgtest.Dir(t) // mode 0700
	dir := filepath.Join(top, "caddy", "mana")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(dir, "cluster")
	t.Cleanup(func() {
		if home, err := os.Readlink(marker); err == nil {
			os.RemoveAll(home)
			os.Remove(filepath.Dir(home)) // if it is the last
		}
	})
	s := start(t, config(dir))
	if _, err := ask(t.Context(), s.DSN(), `CREATE TABLE kept AS SELECT 'still here' AS what`); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	home, err := os.Readlink(marker)
	if os.Getuid() != 0 {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an unprivileged server left its directory: %q, %v", home, err)
		}
		return
	}
	if err != nil || !strings.HasPrefix(home, "/var/lib/mana-edge/") {
		t.Fatalf("the cluster lives in %q, %v", home, err)
	}
	if info, err := os.Stat(top); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the mode of a directory above changed: %v", info.Mode())
	}
	again := start(t, config(dir))
	want(t, again.DSN(), `SELECT what FROM kept`, "still here")
	stop(t, again)
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	if s, err := localpg.Start(t.Context(), config(dir)); err == nil {
		stop(t, s)
		t.Error("a lost cluster was replaced by an empty one")
	} else if !strings.Contains(err.Error(), marker) {
		t.Errorf("%q does not name %s", err, marker)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	start(t, config(dir))
	for name, mode := range map[string]fs.FileMode{
		"credentials.json": 0o600,
		"lock":             0o600,
		"postgres.log":     0o600,
		"data":             fs.ModeDir | 0o700,
		"run":              fs.ModeDir | 0o700,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %s, want %s", name, info.Mode(), mode)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "run", "initdb-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the password file of initdb is left: %s, %v", left, err)
	}
}
