package app_test

import (
	"fmt"
	"net"
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

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// These tests load configs into the one Caddy of the process, so none of them
// is parallel.

func TestEmptyDatabaseIsReadyAfterStart(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.Empty(t), freeport.Address(t)
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	edgetest.WantGuarded(t, address)
	if err := edgetest.LiveRuntime(t).Auth.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReloadKeepsTheRuntime(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	first := edgetest.LiveRuntime(t)
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	if edgetest.LiveRuntime(t) != first {
		t.Error("a reload with the same settings made a new runtime")
	}
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.With(edgetest.ExternalApp(db), "audience", "other"))); err != nil {
		t.Fatal(err)
	}
	second := edgetest.LiveRuntime(t)
	if second == first {
		t.Error("a reload with other settings kept the runtime")
	}
	if second.Limits != first.Limits {
		t.Error("a reload forgot the rate limits")
	}
	edgetest.Eventually(t, "the old runtime is closed", func() bool { return edgetest.OpenRuntimes() == 1 })
	edgetest.WantGuarded(t, address)
}

// Whatever fails about a new config, the one that serves goes on and its pool
// stays open.
func TestBrokenReloadKeepsTheOldServing(t *testing.T) {
	edgetest.StopAtEnd(t)
	before := app.ReloadTimeout
	app.ReloadTimeout = time.Second
	t.Cleanup(func() { app.ReloadTimeout = before })
	db, address := pgtest.New(t), freeport.Address(t)
	app := edgetest.ExternalApp(db)
	if err := edgetest.Load(t, edgetest.Site(t, address, app)); err != nil {
		t.Fatal(err)
	}
	live := edgetest.LiveRuntime(t)

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	nowhere := "postgres://mana:pw@" + freeport.Address(t) + "/mana"
	for name, config := range map[string][]byte{
		"provision":            edgetest.Site(t, address, edgetest.With(app, "base_url", "nonsense")),
		"provision of another": []byte(strings.Replace(string(edgetest.Site(t, address, app)), "static_response", "no_such_handler", 1)),
		"validate of another":  []byte(strings.Replace(string(edgetest.Site(t, address, app)), `"handler":"mana_auth"`, `"handler":"mana_auth","roles":["king"]`, 1)),
		"start":                edgetest.Site(t, address, edgetest.With(app, "database", map[string]any{"url": nowhere})),
		"start of another":     edgetest.Site(t, busy.Addr().String(), app),
		"start with new ones":  edgetest.Site(t, busy.Addr().String(), edgetest.With(app, "audience", "other")),
	} {
		for range 2 {
			if err := edgetest.Load(t, config); err == nil {
				t.Fatalf("%s: a broken config was taken", name)
			}
		}
		edgetest.WantGuarded(t, address)
		if err := live.Pool.Ping(t.Context()); err != nil {
			t.Fatalf("%s: the live pool: %v", name, err)
		}
		if edgetest.LiveRuntime(t) != live {
			t.Fatalf("%s: the live config has another runtime", name)
		}
	}
	edgetest.Eventually(t, "failed reloads leave no runtime", func() bool { return edgetest.OpenRuntimes() == 1 })
}

func TestFailedStartNamesAllFaults(t *testing.T) {
	edgetest.StopAtEnd(t)
	err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), map[string]any{
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
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	app := edgetest.ExternalApp(db)
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
		if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.With(app, "audience", fmt.Sprint("a", i)))); err != nil {
			t.Fatal(err)
		}
		edgetest.WantGuarded(t, address)
	}
	settled := func() bool { return edgetest.OpenRuntimes() == 1 }
	reload(0)
	reload(1)
	edgetest.Eventually(t, "the first is closed", settled)
	goroutines := runtime.NumGoroutine()
	for i := range 10 {
		reload(i)
	}
	edgetest.Eventually(t, "old runtimes are closed", settled)
	edgetest.Eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	edgetest.Eventually(t, "connections are closed", func() bool { return connections() <= 8 })
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
			"redis":    "redis://" + l.Addr().String(), "base_url": "https://auth.example.com", "encryption_key": edgetest.SomeKey,
		},
		"embedded": {
			"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "https://auth.example.com",
		},
	} {
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(edgetest.Site(t, freeport.Address(t), app), &config); err != nil {
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
	edgetest.StopAtEnd(t)
	dir, address := pgtest.Dir(t), freeport.Address(t)
	app := map[string]any{
		"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "https://auth.example.com",
	}
	if err := edgetest.Load(t, edgetest.Site(t, address, app)); err != nil {
		t.Fatal(err)
	}
	edgetest.WantGuarded(t, address)
	first := edgetest.LiveRuntime(t)
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

	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.With(app, "audience", "other"))); err != nil {
		t.Fatal(err)
	}
	second := edgetest.LiveRuntime(t)
	edgetest.Eventually(t, "the old runtime is closed", func() bool { return edgetest.OpenRuntimes() == 1 })
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
