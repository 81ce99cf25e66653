package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const serviceKey = "a service key of a test, long enough"

// edge is a running edge with one gated site, whose app the programs under test are.
type edge struct{ base, site, appPort string }

func startEdge(t *testing.T) edge {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	_, port, err := net.SplitHostPort(edgetest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	e := edge{"http://" + edgetest.FreeAddress(t), "http://" + edgetest.FreeAddress(t), port}
	config, err := edgetest.Adapt(t, fmt.Sprintf(`{
	admin off
	persist_config off
	default_bind 127.0.0.1
	grace_period 1s
	log {
		level ERROR
	}
	mana {
		database %q
		base_url %s
		trusted_origins %s
		encryption_key %s
		service_key %q
	}
}
%[2]s {
	mana_api
}
%[3]s {
	mana_auth {
		headers name
		assertion app
	}
	reverse_proxy 127.0.0.1:%[6]s
}`, pgtest.New(t).DSN, e.base, e.site, edgetest.SomeKey, serviceKey, port))
	if err != nil {
		t.Fatal(err)
	}
	edgetest.StopAtEnd(t)
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	return e
}

// newUser makes a user with ten credits, and returns their address.
func (e edge) newUser(t *testing.T, name string) (email string) {
	t.Helper()
	auth := edgetest.LiveRuntime(t).Auth
	email = name + "@example.test"
	u, err := auth.Register(t.Context(), principal.Client{}, authcore.Registration{Email: email, Password: edgetest.SignUpPassword, Name: "Zoë 100%"})
	if err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(map[string]any{"userId": u.ID, "amount": 10, "reason": "a test", "referenceId": name})
	if err != nil {
		t.Fatal(err)
	}
	run(t, ".", nil, "python3", "-c", `
import sys
sys.path.insert(0, "python")
import json, manaid
manaid.Client(sys.argv[1], service_key=sys.argv[2]).call("POST", "/api/v1/internal/credits/grant", json.loads(sys.argv[3]))`,
		e.base, serviceKey, string(order))
	return email
}

// env is what a program must know to drive the edge as a user.
func (e edge) env(t *testing.T, name string) []string {
	t.Helper()
	return []string{
		"MANA_URL=" + e.base, "MANA_SITE=" + e.site, "MANA_APP_PORT=" + e.appPort, "MANA_EMAIL=" + e.newUser(t, name),
		"MANA_PASSWORD=" + edgetest.SignUpPassword, "MANA_SERVICE_KEY=" + serviceKey,
	}
}

// run runs a program in a folder, which must succeed.
func run(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), append(env, "PYTHONDONTWRITEBYTECODE=1", "NO_COLOR=1")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// Each client works with the API as it is, and its app with what the gate sends.
func TestClientsWorkWithTheEdge(t *testing.T) {
	e := startEdge(t)
	for _, c := range []struct {
		name, dir string
		command   []string
	}{
		{"go", "go", []string{"go", "test", "-count=1", "-tags", "live", "-run", "^TestLive$", "."}},
		{"ts", "ts", []string{"node", "--test", "drive.mjs"}},
		{"python", "python", []string{"python3", "drive.py"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, filepath.FromSlash(c.dir), e.env(t, c.name), c.command[0], c.command[1:]...)
		})
	}
}

// examples are the apps of ../examples, by what runs them.
var examples = []struct {
	name, dir string
	command   []string
}{
	{"go", "../examples/go", []string{"go", "run", "."}},
	{"node", "../examples/node", []string{"node", "app.mjs"}},
	{"python", "../examples/python", []string{"python3", "app.py"}},
}

// start runs an app behind the gate until the test is over.
func (e edge) start(t *testing.T, dir string, command []string) {
	t.Helper()
	if command[0] == "go" {
		binary := filepath.Join(t.TempDir(), "app")
		run(t, dir, nil, "go", "build", "-o", binary, ".")
		command = []string{binary}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MANA_URL="+e.base, "MANA_SERVICE_KEY="+serviceKey, "PORT="+e.appPort, "PYTHONDONTWRITEBYTECODE=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the app said: %s", said.String())
		}
	})
	edgetest.Eventually(t, "the app listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+e.appPort)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// ask sends a request to the site, or past the gate where target is the app itself.
func ask(t *testing.T, method, target, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// Each example is an app that works: it knows its user, takes their credits until
// there are none left, and answers nobody who comes around the gate.
func TestExamplesWorkBehindTheEdge(t *testing.T) {
	e := startEdge(t)
	for _, app := range examples {
		t.Run(app.name, func(t *testing.T) {
			e.start(t, app.dir, app.command)
			email := e.newUser(t, app.name)
			tokens, err := edgetest.LiveRuntime(t).Auth.SignIn(t.Context(), principal.Client{}, email, edgetest.SignUpPassword)
			if err != nil {
				t.Fatal(err)
			}
			want := func(method, target, token string, status int, text string) {
				t.Helper()
				if got, body := ask(t, method, target, token); got != status || !strings.Contains(body, text) {
					t.Errorf("%s %s: %d %q, want %d %q", method, target, got, body, status, text)
				}
			}
			want("GET", e.site+"/", tokens.AccessToken, 200, "Hello, "+email+"!")
			want("GET", e.site+"/", "", 401, "No token provided")
			want("GET", "http://127.0.0.1:"+e.appPort+"/", tokens.AccessToken, 401, "")
			for range 5 {
				want("POST", e.site+"/answer", tokens.AccessToken, 200, "42")
			}
			want("POST", e.site+"/answer", tokens.AccessToken, 402, "costs 2 credits, you have 0")
		})
	}
}

// The snippets of docs/apps.md are of the examples, which are run, or are run here.
func TestSnippetsOfAppsWork(t *testing.T) {
	page, err := os.ReadFile("../docs/apps.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{"go": "../examples/go/main.go", "js": "../examples/node/app.mjs", "python": "../examples/python/app.py"}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	seen := make(map[string]int)
	for _, block := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		seen[block[1]]++
		switch file, is := sources[block[1]]; {
		case is:
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(flat(string(source)), flat(block[2])) {
				t.Errorf("docs/apps.md shows what %s does not have:\n%s", file, block[2])
			}
		case block[1] == "sh":
			script.WriteString(block[2])
		case block[1] != "caddyfile" && block[1] != "sh-session": // which the tests of the root read, and those of cmd/mana-edge
			t.Errorf("a block of %s is not run", block[1])
		}
	}
	for _, language := range []string{"go", "js", "python", "sh", "caddyfile"} {
		if seen[language] == 0 {
			t.Errorf("docs/apps.md has no %s", language)
		}
	}
	e := startEdge(t)
	e.start(t, examples[1].dir, examples[1].command)
	run(t, ".", e.env(t, "sh"), "bash", "-c", script.String())
}

// flat is a text without the indentation of its lines.
func flat(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}
