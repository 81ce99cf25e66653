package pgtest_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

// A test process that is killed leaves neither a server nor its data.
func TestKilledTestsLeaveNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("PGTEST_HANG") != "" {
		dir := pgtest.Dir(t)
		if _, err := localpg.Start(t.Context(), localpg.Config{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("dir " + dir + "\n")
		select {}
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledTestsLeaveNothing$")
	child.Env = append(os.Environ(), "PGTEST_HANG=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 200)
	n, err := out.Read(word)
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(word[:n])), "dir ")
	if err != nil || !ok {
		t.Fatalf("the child says %q, %v", word[:n], err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%s is still there", dir)
		}
	}
	running, err := exec.Command("ps", "axww", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(running), "postgres -D "+dir) {
		t.Error("the server still runs")
	}
}
