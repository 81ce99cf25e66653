package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The first app of docs/start.md is tested as it is told there, with the directives of
// its site in place of the gate.
func TestDevTestsTheFirstApp(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	first, err := filepath.Abs(filepath.FromSlash("../../examples/first"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := dev(t, dir, "--upstream", "localhost:0", "--site", filepath.Join(first, "site.caddyfile"), "--once", "--", "go", "test", "-C", first, "-count=1", "./...")
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output() // which lie below the home otherwise
	if err != nil {
		t.Fatal(err)
	}
	build, modules, _ := strings.Cut(strings.TrimSpace(string(caches)), "\n")
	cmd.Env = append(cmd.Env, "GOCACHE="+build, "GOMODCACHE="+modules, "XDG_CONFIG_HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok  \tmana.how/edge/examples/first") {
		t.Errorf("%v\n%s", err, out)
	}
	nothingOf(t, dir)
}

// What an upstream or a site cannot be is told at once, and nothing is left behind.
func TestDevNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	site := filepath.Join(t.TempDir(), "site.caddyfile")
	if err := os.WriteFile(site, []byte("mana_auth {\n\tno_such_option\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--upstream", "localhost:0"}, `--upstream: "localhost:0" needs --once`},
		{[]string{"--upstream", "localhost"}, `--upstream: "localhost" is not host:port`},
		{[]string{"--site", "nowhere.caddyfile"}, "--site: open "},
		{[]string{"--port", "0", "--site", site}, "no_such_option"},
	} {
		if out, err := dev(t, dir, c.args...).CombinedOutput(); err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: %v, %s", c.args, err, out)
		}
	}
	nothingOf(t, dir)
}
