package localpg_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for until := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func TestKilledServerComesBack(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	s := start(t, config(dir))
	if _, err := ask(t.Context(), s.DSN(), `CREATE TABLE kept AS SELECT 'still here' AS what`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		killed := postmaster(t, dir)
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		within(t, 15*time.Second, "the server comes back", func() bool {
			_, err := ask(t.Context(), s.DSN(), `SELECT 'x'`)
			return err == nil && postmaster(t, dir) != killed
		})
		want(t, s.DSN(), `SELECT what FROM kept`, "still here")
	}
	select {
	case <-s.Done():
		t.Error("Done is closed while the server runs")
	default:
	}
}

func TestStopWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	s := start(t, config(dir))
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	<-s.Done()
	start(t, config(dir))
}

func TestStopEndsAtOnceWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	cfg := config(pgtest.Dir(t))
	s := start(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err == nil {
		t.Error("no word about the missing checkpoint")
	}
	want(t, start(t, cfg).DSN(), `SELECT current_user::text`, "mana")
}

func TestAbandonedServerIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), abandonVariable+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 200)
	n, err := out.Read(word)
	if err != nil || string(word[:n]) != "ready\n" {
		t.Fatalf("the parent says %q, %v", word[:n], err)
	}
	if _, err := localpg.Start(t.Context(), config(dir)); !errors.Is(err, localpg.ErrInUse) {
		t.Errorf("start beside a live owner: %v, want ErrInUse", err)
	}
	dsn, ok, err := localpg.Attach(t.Context(), dir)
	if err != nil || !ok {
		t.Fatalf("attach to the server of another process: %t, %v", ok, err)
	}
	if _, err := ask(t.Context(), dsn, `CREATE TABLE kept AS SELECT 'still here' AS what`); err != nil {
		t.Fatal(err)
	}
	abandoned := postmaster(t, dir)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	want(t, dsn, `SELECT what FROM kept`, "still here") // it lives on, ownerless
	if _, ok, err := localpg.Attach(t.Context(), dir); ok || err != nil {
		t.Errorf("attach to an abandoned server: %t, %v", ok, err)
	}
	s := start(t, config(dir))
	if pid := postmaster(t, dir); pid == abandoned {
		t.Error("the abandoned server still runs")
	}
	want(t, s.DSN(), `SELECT what FROM kept`, "still here")
}

func TestStalePIDOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	s := start(t, config(dir))
	stop(t, s)
	stranger := exec.CommandContext(t.Context(), "/bin/sleep", "600")
	stranger.SysProcAttr = runAsOwner(t, filepath.Join(dir, "data"))
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	file := filepath.Join(dir, "data", "postmaster.pid")
	if err := os.WriteFile(file, []byte(strconv.Itoa(stranger.Process.Pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, config(dir))
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was stopped: %v", err)
	}
}

// runAsOwner are the attributes of a process of the user who owns path.
func runAsOwner(t *testing.T, path string) *syscall.SysProcAttr {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if int(st.Uid) == os.Getuid() {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
}

func TestAttachWithoutServer(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	for _, dir := range []string{dir, filepath.Join(dir, "none")} {
		if _, ok, err := localpg.Attach(t.Context(), dir); ok || err != nil {
			t.Errorf("%s: %t, %v", dir, ok, err)
		}
	}
	stop(t, start(t, config(dir)))
	if _, ok, err := localpg.Attach(t.Context(), dir); ok || err != nil {
		t.Errorf("after a stop: %t, %v", ok, err)
	}
}
