package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mana.how/edge/internal/pgtest"
)

// A Caddyfile with five mistakes in three sites: each command that reads it
// prints five lines and nothing else, from which it can be mended.
func TestMistakesArePrintedAsAList(t *testing.T) {
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(`{
	admin unix/%s/admin.sock
	auto_https off
	mana {
		base_url auth.example.test
		access_token_ttl soon
	}
}
http://a.example.test:18080 {
	mana_auth {
		role king
	}
	respond ok
}
http://b.example.test:18080 {
	mana_rate_limit 100
	mana_auth
	respond ok
}
http://c.example.test:18080 {
	mana_credits 5
	respond ok
}
`, dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	wants := []string{
		":5: mana: base_url: not an http",
		":6: mana: access_token_ttl: \"soon\" is not",
		":11: site a.example.test: mana_auth: role: \"king\" is none of",
		":16: site b.example.test: mana_rate_limit: \"100\" is not",
		":21: site c.example.test: mana_credits",
	}
	for _, args := range [][]string{{"validate"}, {"run"}, {"adapt", "--validate"}} {
		out, code := mistaken(t, dir, append(args, "--config", file)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if code != 1 || len(lines) != len(wants) {
			t.Errorf("%v: exit code %d, %d lines, want 1 and %d:\n%s", args, code, len(lines), len(wants), out)
			continue
		}
		for _, want := range wants {
			line := regexp.MustCompile(`(?m)^\S*Caddyfile` + regexp.QuoteMeta(want))
			if n := len(line.FindAllString(out, -1)); n != 1 {
				t.Errorf("%v: %q stands %d times in\n%s", args, want, n, out)
			}
		}
	}

	// What Caddy itself finds is a line of the same shape.
	if err := os.WriteFile(file, []byte("http://a.example.test:18080 {\n\tmana_aut\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := mistaken(t, dir, "validate", "--config", file)
	if want := file + ":2: unrecognized directive: mana_aut\n"; code != 1 || out != want {
		t.Errorf("exit code %d, %q, want 1 and %q", code, out, want)
	}
}

// mistaken runs a command that must fail, and returns all it printed.
func mistaken(t testing.TB, dir string, args ...string) (printed string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "mana-edge"), args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var failed *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &failed) {
		t.Fatalf("mana-edge %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), failed.ExitCode()
}

// A reload prints what the running edge finds, which judges by its own
// environment; the answer of /load ends in the same list.
func TestMistakesOfAReload(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.use(pgtest.New(t).DSN)
	e.Options = "service_key {env.ONLY_THE_EDGE_HAS}"
	e.Env = append(e.Env, "ONLY_THE_EDGE_HAS=a service key of the edge's own environment")
	e.start(t)

	e.Env = nil
	e.writeConfig(t, e.Options+"\naccess_token_ttl soon", "mana_rate_limit 100")
	cmd := e.command(t.Context(), "reload", "--config", e.config)
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if cmd.ProcessState.ExitCode() != 1 || len(lines) != 2 {
		t.Fatalf("%v:\n%s", err, out)
	}
	for i, want := range []string{`: mana: access_token_ttl: "soon"`, `: site app.mana.localhost, notes.mana.localhost: mana_rate_limit: "100"`} {
		if !strings.HasPrefix(lines[i], e.config+":") || !strings.Contains(lines[i], want) {
			t.Errorf("%q lacks file, line or %q", lines[i], want)
		}
	}
	a := e.load(t)
	if text := a.Text("error"); a.StatusCode != 400 || !strings.Contains(text, " 2 config errors:\nmana: access_token_ttl") {
		t.Errorf("%d: %s", a.StatusCode, text)
	}
	e.writeConfig(t, e.Options, "")
	if out, err := e.command(t.Context(), "reload", "--config", e.config).CombinedOutput(); err != nil {
		t.Errorf("reload without a mistake: %v\n%s", err, out)
	}
}
