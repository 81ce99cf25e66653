package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// binary is mana-edge itself. Without it the edge runs in this process.
var binary = flag.String("edge", "", "drive the clients against this binary")

const serviceKey = "a service key of a test, long enough"

// edge is a running edge with one gated site, whose app the programs under test are,
// and one of files, which pages of a browser are.
type edge struct{ base, site, pages, appPort string }

// startEdge runs one, with more lines in its mana block.
func startEdge(t *testing.T, more ...string) edge {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	_, port, err := net.SplitHostPort(freeport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	e := edge{"http://" + freeport.Address(t), "http://" + freeport.Address(t), "http://" + freeport.Address(t), port}
	config := fmt.Sprintf(`{
	admin off
	persist_config off
	default_bind 127.0.0.1
	grace_period 1s
	log {
		level ERROR
	}
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
	}
	mana {
		database %q
		base_url %s
		trusted_origins %s %s
		encryption_key %s
		service_key %q
		%[10]s
	}
}
%[2]s {
	mana_api
}
%[3]s {
	@pages header Origin %[4]s
	header @pages {
		Access-Control-Allow-Origin %[4]s
		Access-Control-Allow-Credentials true
		Access-Control-Expose-Headers "Retry-After, Mana-Receipt, X-Request-Id"
	}
	@busy path /busy
	mana_rate_limit @busy 1/2s {
		key user
	}
	mana_auth {
		headers name
		assertion app
	}
	@paid path /paid
	mana_credits @paid 4 {
		app app
		receipt
	}
	header X-Request-Id {http.request.uuid}
	@bare path /paid /busy
	respond @bare "done"
	reverse_proxy 127.0.0.1:%[7]s
}
%[4]s {
	@client path /clients/*
	root @client %[8]q
	root %[9]q
	templates
	file_server
}
`, pgtest.New(t).DSN, e.base, e.site, e.pages, edgetest.SomeKey, serviceKey, port, files, filepath.Join(files, "examples", "static"), strings.Join(more, "\n\t\t"))
	t.Setenv("MANA_URL", e.base) // which the page reads by a template
	t.Setenv("MANA_SITE", e.site)
	if *binary != "" {
		launch(t, config)
	} else {
		load(t, config)
	}
	edgetest.Eventually(t, "the edge is ready", func() bool {
		status, _ := try(t.Context(), http.MethodGet, e.base+"/health/ready", nil)
		return status == http.StatusOK
	})
	return e
}

// load runs the edge in this process.
func load(t *testing.T, config string) {
	t.Helper()
	adapted, err := edgetest.Adapt(t, config)
	if err != nil {
		t.Fatal(err)
	}
	edgetest.StopAtEnd(t)
	if err := caddy.Load(adapted, true); err != nil {
		t.Fatal(err)
	}
}

// launch runs the binary until the test is over.
func launch(t *testing.T, config string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(*binary, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the edge ended with %v, and said: %s", err, said.String())
		}
	})
}

// clientsMade numbers the addresses that sign-ups come from: limits count by them.
var clientsMade atomic.Int32

// try sends one request, with a body of JSON where there is one.
func try(ctx context.Context, method, target string, body any, headers ...string) (status int, text string) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err.Error()
		}
		sent = bytes.NewReader(raw)
		headers = append(headers, "Content-Type", "application/json")
	}
	req, err := http.NewRequestWithContext(ctx, method, target, sent)
	if err != nil {
		return 0, err.Error()
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

// call is try of the API that must succeed, and reads the answer.
func call[T any](t *testing.T, method, target string, body any, headers ...string) (answer T) {
	t.Helper()
	status, text := try(t.Context(), method, target, body, headers...)
	if status < 200 || status > 299 {
		t.Fatalf("%s %s: %d %s", method, target, status, text)
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, target, err, text)
	}
	return answer
}

// user is one with ten credits.
type user struct{ id, email, accessToken string }

func (e edge) newUser(t *testing.T, name string) user {
	t.Helper()
	email := name + "@example.test"
	from := fmt.Sprintf("10.0.0.%d", clientsMade.Add(1))
	call[any](t, http.MethodPost, e.base+"/api/v1/auth/register", map[string]any{"email": email, "password": edgetest.SignUpPassword, "name": "Zoë 100%"}, "X-Forwarded-For", from)
	tokens := call[struct {
		AccessToken string              `json:"accessToken"`
		User        struct{ ID string } `json:"user"`
	}](t, http.MethodPost, e.base+"/api/v1/auth/login", map[string]any{"email": email, "password": edgetest.SignUpPassword}, "X-Forwarded-For", from)
	call[any](t, http.MethodPost, e.base+"/api/v1/internal/credits/grant", map[string]any{
		"userId": tokens.User.ID, "amount": 10, "reason": "a test", "referenceId": name,
	}, "X-Service-Key", serviceKey)
	return user{tokens.User.ID, email, tokens.AccessToken}
}

// balance is what the user has, in credits.
func (e edge) balance(t *testing.T, u user) float64 {
	t.Helper()
	return call[struct{ Balance float64 }](t, http.MethodGet, e.base+"/api/v1/credits/balance/"+u.id, nil, "X-Service-Key", serviceKey).Balance
}

// env is what a program must know to drive the edge as a user.
func (e edge) env(t *testing.T, name string) []string {
	t.Helper()
	return append(e.environment(), "MANA_EMAIL="+e.newUser(t, name).email, "MANA_PASSWORD="+edgetest.SignUpPassword)
}

// environment is what an app must know.
func (e edge) environment() []string {
	return []string{"MANA_URL=" + e.base, "MANA_SITE=" + e.site, "MANA_APP_PORT=" + e.appPort, "PORT=" + e.appPort, "MANA_SERVICE_KEY=" + serviceKey}
}

// run runs a program in a folder, which must succeed, and returns what it says.
func run(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), append(env, "PYTHONDONTWRITEBYTECODE=1", "NO_COLOR=1")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
