package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// evict stops a server of this cluster that outlived the process which started
// it. The caller holds the lock, so no live process owns that server.
func (c cluster) evict(ctx context.Context, log *slog.Logger) error {
	pid, err := c.postmaster()
	if err != nil || pid == 0 {
		return err
	}
	if c.runs(pid) {
		log.Warn("stopping an embedded PostgreSQL that a dead process left behind", "pid", pid, "cluster", c.home)
		if err := c.end(ctx, pid); err != nil {
			return err
		}
	}
	return c.clearStalePID()
}

// end stops a postmaster that is not our child: fast, then immediate.
func (c cluster) end(ctx context.Context, pid int) error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the abandoned PostgreSQL, process %d: %w", pid, err)
		}
		for until := time.Now().Add(step.wait); time.Now().Before(until); {
			if !c.runs(pid) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("stop the abandoned PostgreSQL, process %d: %w", pid, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return fmt.Errorf("the abandoned PostgreSQL, process %d, does not end", pid)
}

func (c cluster) pidFile() string { return filepath.Join(c.data(), "postmaster.pid") }

// postmaster reads the process id of the last server, 0 after a clean stop.
func (c cluster) postmaster() (int, error) {
	raw, err := os.ReadFile(c.pidFile())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return 0, nil
	}
	return pid, nil
}

// runs reports whether process pid is a server in this data directory. The number
// alone proves nothing: the system gives it out again.
func (c cluster) runs(pid int) bool {
	if runtime.GOOS == "linux" {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)) // fails for a zombie
		return err == nil && cwd == c.data()
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && bytes.Contains(out, []byte("-D "+c.data()))
}

// clearStalePID removes the pid file of a dead server whose number another
// process has by now, which PostgreSQL would take for the server.
func (c cluster) clearStalePID() error {
	pid, err := c.postmaster()
	if err != nil || pid == 0 || c.runs(pid) || syscall.Kill(pid, 0) != nil {
		return err
	}
	return os.Remove(c.pidFile())
}
