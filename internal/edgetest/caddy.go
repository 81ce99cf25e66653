package edgetest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // registers the modules

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	_ "mana.how/edge/caddymodule" // registers the modules
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/pgtest"
)

// Site is a config with one gated site; app is the JSON of the mana app.
func Site(t testing.TB, listen string, app map[string]any) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"level": "ERROR"}}},
		"apps": map[string]any{
			"mana": app,
			"http": map[string]any{"servers": map[string]any{"site": map[string]any{
				"listen":          []string{listen},
				"automatic_https": map[string]any{"disable": true},
				"routes": []any{map[string]any{"handle": []any{
					map[string]any{"handler": "mana_auth"},
					map[string]any{"handler": "static_response", "body": "in"},
				}}},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Load has the process run the config.
func Load(t testing.TB, config []byte) error {
	t.Helper()
	return caddy.Load(config, true)
}

// StopAtEnd leaves no config, and no runtime, behind.
func StopAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		Eventually(t, "runtimes are closed", func() bool { return OpenRuntimes() == 0 })
	})
}

// Eventually waits up to 15 seconds for something to be so.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 15 s: %s", what)
		}
	}
}

// WantGuarded checks that the gate of a site refuses a guest.
func WantGuarded(t testing.TB, address string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return nil, err
		}
		return client.Do(r)
	}
	resp, err := ask()
	for range 5 { // the old server may take a connection and close
		if err == nil {
			break
		}
		resp, err = ask()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("gate answers %d %s, want 401", resp.StatusCode, body)
	}
}

// LiveRuntime is the runtime of the config that serves.
func LiveRuntime(t testing.TB) *services.Runtime {
	t.Helper()
	module, err := caddy.ActiveContext().App("mana")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	rt, err := module.(*app.App).Runtime(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// ExternalApp is the JSON of a mana app on a database of the test.
func ExternalApp(db *pgtest.Database) map[string]any {
	return map[string]any{
		"database":       map[string]any{"url": db.DSN},
		"base_url":       "https://auth.example.com",
		"encryption_key": SomeKey,
	}
}

// With is the app with one member changed.
func With(app map[string]any, key string, value any) map[string]any {
	changed := map[string]any{key: value}
	for k, v := range app {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

// Whole is a config with the API and a gated site at one address; app is the
// JSON of the mana app.
func Whole(t testing.TB, listen string, app map[string]any) []byte {
	t.Helper()
	var config map[string]any
	if err := json.Unmarshal(Site(t, listen, app), &config); err != nil {
		t.Fatal(err)
	}
	server := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["site"].(map[string]any)
	server["routes"] = append([]any{map[string]any{
		"match":  []any{map[string]any{"path": []string{"/health*", "/api/*"}}},
		"handle": []any{map[string]any{"handler": "mana_api"}},
	}}, server["routes"].([]any)...)
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Fetch sends a request with a body of JSON and returns the answer.
func Fetch(t testing.TB, method, target, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	for range 5 { // while Caddy reloads, the server that goes may take a connection and close it
		if err == nil || method != http.MethodGet {
			break
		}
		resp, err = client.Do(req)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// SomeKey is an encryption key.
const SomeKey = "an-encryption-key-of-some-length-0123456789"

// SignUpPassword is that of users whom [SignUp] makes.
const SignUpPassword = "correct horse battery"

// SignUp makes an account at the running server and signs it in.
func SignUp(t testing.TB, email string) principal.Caller {
	t.Helper()
	auth := LiveRuntime(t).Auth
	u, err := auth.Register(t.Context(), principal.Client{}, authcore.Registration{Email: email, Password: SignUpPassword})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.SignIn(t.Context(), principal.Client{}, email, SignUpPassword)
	if err != nil {
		t.Fatal(err)
	}
	return principal.Caller{UserID: u.ID, Email: u.Email, Role: u.Role, SessionID: tokens.SessionID}
}

// OpenRuntimes is how many runtimes this process holds, lingering ones included.
func OpenRuntimes() int {
	n := 0
	services.EachRuntime(func(*services.Runtime) { n++ })
	return n
}

// Tests do not wait for the longest request.
func init() { services.SetLinger(0, 50*time.Millisecond) }

// External is a config with everything that is required.
func External() config.Config {
	return config.Config{
		Database:      &config.DatabaseConfig{URL: "postgres://mana:pw@db.example.com/mana"},
		BaseURL:       "https://auth.example.com",
		EncryptionKey: SomeKey,
	}
}
