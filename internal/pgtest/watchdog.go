package pgtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Dir returns an empty directory for an embedded server of t's own. At the end of
// t, or of the process, a server that still runs in it is ended, and the
// directory and a cluster it links to are removed.
func Dir(t testing.TB) string {
	t.Helper()
	dir, watch, err := watchedDir()
	if err != nil {
		t.Fatalf("make a directory for an embedded server: %v", err)
	}
	t.Cleanup(watch.release)
	return dir
}

func watchedDir() (string, *watchdog, error) {
	dir, err := os.MkdirTemp("", "mana-pgtest-")
	if err != nil {
		return "", nil, err
	}
	watch, err := watchOver(dir)
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, watch, nil
}

// watchdog is a child that outlives this process, however that ends, to end the
// server in a directory and remove it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// The script waits for the end of its input, which the kernel closes with this
// process.
const watchScript = `
trap '' INT TERM HUP
read -r _
home=$1
[ -L "$1/cluster" ] && home=$(readlink "$1/cluster")
home=$(cd "$home" 2>/dev/null && pwd -P) || home=$1
pid=$(head -n 1 "$home/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && ps -o args= -p "$pid" | grep -qF -- "-D $home/data"; then
	kill -QUIT "$pid" 2>/dev/null
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
fi
[ "$home" = "$1" ] || { rm -rf "$home"; rmdir "$(dirname "$home")" 2>/dev/null; }
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

func watchOver(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "pgtest", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// release lets the watchdog clean up and waits for it.
func (w *watchdog) release() {
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
