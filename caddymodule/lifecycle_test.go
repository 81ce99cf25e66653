package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"mana.how/edge/caddymodule"
	"mana.how/edge/internal/pgtest"
)

// These tests load configs into the one Caddy of the process, so none of them
// is parallel.

// site is a config with one gated site; app is the JSON of the mana app.
func site(t testing.TB, listen string, app map[string]any) []byte {
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

func load(t testing.TB, config []byte) error {
	t.Helper()
	return caddy.Load(config, true)
}

// freeAddress is a loopback address nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stopAtEnd leaves no config, and no runtime, behind.
func stopAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		eventually(t, "runtimes are closed", func() bool { return caddymodule.OpenRuntimes() == 0 })
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 15 s: %s", what)
		}
	}
}

func wantGuarded(t testing.TB, address string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + "/")
	for range 5 { // the old server may take a connection and close
		if err == nil {
			break
		}
		resp, err = client.Get("http://" + address + "/")
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

// liveRuntime is the runtime of the config that serves.
func liveRuntime(t testing.TB) *caddymodule.Runtime {
	t.Helper()
	module, err := caddy.ActiveContext().App("mana")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	rt, err := module.(*caddymodule.App).Runtime(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func externalApp(db *pgtest.Database) map[string]any {
	return map[string]any{
		"database":       map[string]any{"url": db.DSN},
		"base_url":       "https://auth.example.com",
		"encryption_key": someKey,
	}
}

func with(app map[string]any, key string, value any) map[string]any {
	changed := map[string]any{key: value}
	for k, v := range app {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

func TestEmptyDatabaseIsReadyAfterStart(t *testing.T) {
	stopAtEnd(t)
	db, address := pgtest.Empty(t), freeAddress(t)
	if err := load(t, site(t, address, externalApp(db))); err != nil {
		t.Fatal(err)
	}
	wantGuarded(t, address)
	if err := liveRuntime(t).Auth.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReloadKeepsTheRuntime(t *testing.T) {
	stopAtEnd(t)
	db, address := pgtest.New(t), freeAddress(t)
	if err := load(t, site(t, address, externalApp(db))); err != nil {
		t.Fatal(err)
	}
	first := liveRuntime(t)
	if err := load(t, site(t, address, externalApp(db))); err != nil {
		t.Fatal(err)
	}
	if liveRuntime(t) != first {
		t.Error("a reload with the same settings made a new runtime")
	}
	if err := load(t, site(t, address, with(externalApp(db), "audience", "other"))); err != nil {
		t.Fatal(err)
	}
	second := liveRuntime(t)
	if second == first {
		t.Error("a reload with other settings kept the runtime")
	}
	if second.Limits != first.Limits {
		t.Error("a reload forgot the rate limits")
	}
	eventually(t, "the old runtime is closed", func() bool { return caddymodule.OpenRuntimes() == 1 })
	wantGuarded(t, address)
}

// Whatever fails about a new config, the one that serves goes on and its pool
// stays open.
func TestBrokenReloadKeepsTheOldServing(t *testing.T) {
	stopAtEnd(t)
	patience := caddymodule.ReloadPatience(time.Second)
	t.Cleanup(func() { caddymodule.ReloadPatience(patience) })
	db, address := pgtest.New(t), freeAddress(t)
	app := externalApp(db)
	if err := load(t, site(t, address, app)); err != nil {
		t.Fatal(err)
	}
	live := liveRuntime(t)

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	nowhere := "postgres://mana:pw@" + freeAddress(t) + "/mana"
	for name, config := range map[string][]byte{
		"provision":            site(t, address, with(app, "base_url", "nonsense")),
		"provision of another": []byte(strings.Replace(string(site(t, address, app)), "static_response", "no_such_handler", 1)),
		"validate of another":  []byte(strings.Replace(string(site(t, address, app)), `"handler":"mana_auth"`, `"handler":"mana_auth","roles":["king"]`, 1)),
		"start":                site(t, address, with(app, "database", map[string]any{"url": nowhere})),
		"start of another":     site(t, busy.Addr().String(), app),
		"start with new ones":  site(t, busy.Addr().String(), with(app, "audience", "other")),
	} {
		for range 2 {
			if err := load(t, config); err == nil {
				t.Fatalf("%s: a broken config was taken", name)
			}
		}
		wantGuarded(t, address)
		if err := live.Pool.Ping(t.Context()); err != nil {
			t.Fatalf("%s: the live pool: %v", name, err)
		}
		if liveRuntime(t) != live {
			t.Fatalf("%s: the live config has another runtime", name)
		}
	}
	eventually(t, "failed reloads leave no runtime", func() bool { return caddymodule.OpenRuntimes() == 1 })
}

func TestFailedStartNamesAllFaults(t *testing.T) {
	stopAtEnd(t)
	err := load(t, site(t, freeAddress(t), map[string]any{
		"base_url": "nonsense", "audience": "{nope}", "database": map[string]any{"url": "nonsense"},
	}))
	if err == nil {
		t.Fatal("a broken config was taken")
	}
	for _, name := range []string{"base_url:", "audience:", "database:", "encryption_key:"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}

func TestTenReloadsLeakNothing(t *testing.T) {
	stopAtEnd(t)
	db, address := pgtest.New(t), freeAddress(t)
	app := externalApp(db)
	connections := func() (n int) {
		err := db.Pool.QueryRow(t.Context(),
			`SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'mana-edge'`, db.Name).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	reload := func(i int) {
		t.Helper()
		if err := load(t, site(t, address, with(app, "audience", fmt.Sprint("a", i)))); err != nil {
			t.Fatal(err)
		}
		wantGuarded(t, address)
	}
	settled := func() bool { return caddymodule.OpenRuntimes() == 1 }
	reload(0)
	reload(1)
	eventually(t, "the first is closed", settled)
	goroutines := runtime.NumGoroutine()
	for i := range 10 {
		reload(i)
	}
	eventually(t, "old runtimes are closed", settled)
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	eventually(t, "connections are closed", func() bool { return connections() <= 6 })
}

// validate runs on a machine that reaches neither database nor Redis.
func TestValidateDoesNoIO(t *testing.T) {
	var asked atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			conn.Close()
		}
	}()
	dir := filepath.Join(pgtest.Dir(t), "database")
	for name, app := range map[string]map[string]any{
		"external": {
			"database": map[string]any{"url": "postgres://mana:pw@" + l.Addr().String() + "/mana"},
			"redis":    "redis://" + l.Addr().String(), "base_url": "https://auth.example.com", "encryption_key": someKey,
		},
		"embedded": {
			"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "https://auth.example.com",
		},
	} {
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(site(t, freeAddress(t), app), &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("validate connected %d times", n)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("validate made the folder of the embedded database")
	}
}

func TestEmbeddedDatabase(t *testing.T) {
	stopAtEnd(t)
	dir, address := pgtest.Dir(t), freeAddress(t)
	app := map[string]any{
		"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "https://auth.example.com",
	}
	if err := load(t, site(t, address, app)); err != nil {
		t.Fatal(err)
	}
	wantGuarded(t, address)
	first := liveRuntime(t)
	keys := string(first.Auth.JWKS())

	info, err := os.Stat(filepath.Join(dir, "encryption_key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the encryption key: %v", info.Mode())
	}
	var began time.Time
	const startSQL = `SELECT pg_postmaster_start_time()`
	if err := first.Pool.QueryRow(t.Context(), startSQL).Scan(&began); err != nil {
		t.Fatal(err)
	}

	if err := load(t, site(t, address, with(app, "audience", "other"))); err != nil {
		t.Fatal(err)
	}
	second := liveRuntime(t)
	eventually(t, "the old runtime is closed", func() bool { return caddymodule.OpenRuntimes() == 1 })
	var still time.Time
	if err := second.Pool.QueryRow(t.Context(), startSQL).Scan(&still); err != nil {
		t.Fatal(err)
	}
	if !still.Equal(began) {
		t.Error("other settings restarted the embedded database")
	}
	if string(second.Auth.JWKS()) != keys {
		t.Error("other settings changed the signing keys")
	}
}
