package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// `mana health` asks the edge of the config through its admin endpoint, a socket
// too, and fails where nothing runs or what it needs is away.
func TestHealthAsksTheRunningEdge(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	socket := "unix/" + filepath.Join(t.TempDir(), "admin.sock")
	config := []byte(strings.Replace(string(edgetest.Whole(t, freeport.Address(t),
		edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": dsn}))), `"disabled":true`, `"listen":"`+socket+`"`, 1))
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	health := func(args ...string) (string, error) {
		return edgetest.Operate(t, "", append([]string{"health", "--config", file}, args...)...)
	}
	if _, err := health(); err == nil || !strings.Contains(err.Error(), "admin.sock") {
		t.Errorf("nothing runs: %v", err)
	}
	if err := edgetest.Load(t, config); err != nil {
		t.Fatal(err)
	}
	edgetest.LiveRuntime(t)
	if out, err := health("--ready"); err != nil || strings.TrimSpace(out) != "ok" {
		t.Errorf("ready: %q, %v", out, err)
	}
	relay.Cut(true)
	if _, err := health("--ready"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("ready without a database: %v", err)
	}
	if out, err := health("--json"); err != nil || !strings.Contains(out, `"status": "ok"`) {
		t.Errorf("alive without a database: %q, %v", out, err)
	}
}
