//go:build postgres18

package main_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newer is where PostgreSQL 18 is; the edge finds an older one by itself.
var newer = flag.String("postgres18", "", "directory of initdb and postgres of PostgreSQL 18")

// An edge moves its embedded database to the next major version by one command: who was
// signed in stays so, the ledger adds up, and the old data is the way back.
func TestPostgresIsUpgraded(t *testing.T) {
	e := startEdge(t)
	register(t, e, "edsger@mana.how", "192.0.2.70")
	access, refresh := login(t, e, "edsger@mana.how", "192.0.2.70")
	e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", "edsger@mana.how", "--amount", "42", "--reason", "test")
	if said := fails(t, e, "mana", "upgrade-postgres", "--config", e.config, "--bin", *newer); !strings.Contains(said, "stop the edge first") {
		t.Errorf("while the edge runs: %s", said)
	}
	e.stop(t)
	if said := fails(t, e, "mana", "upgrade-postgres", "--config", e.config, "--bin", t.TempDir()); !strings.Contains(said, "no PostgreSQL binaries") {
		t.Errorf("to nothing: %s", said)
	}
	var done struct {
		From, To, Tables int
		Rows             int64
		Kept             string
	}
	said := e.run(t, "mana", "upgrade-postgres", "--config", e.config, "--bin", *newer, "--json")
	if err := json.Unmarshal([]byte(said[strings.Index(said, "{"):]), &done); err != nil || done.To != 18 || done.From >= 18 || done.Tables < 40 || done.Rows < 5 {
		t.Fatalf("%+v, %v: %s", done, err, said)
	}

	e.Env = append(e.Env, "MANA_POSTGRES_BIN="+*newer)
	e.start(t)
	if version, err := os.ReadFile(filepath.Join(filepath.Dir(done.Kept), "data", "PG_VERSION")); err != nil || strings.TrimSpace(string(version)) != "18" {
		t.Errorf("the data is of %q, %v", version, err)
	}
	want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/api/v1/credits/balance", nil, "Authorization", "Bearer "+access), http.StatusOK)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}), http.StatusOK)
	login(t, e, "edsger@mana.how", "192.0.2.71")
	if said := e.run(t, "mana", "credits", "audit", "--config", e.config); !strings.Contains(said, "checked 1 rows of 1 accounts") {
		t.Errorf("the audit says %s", said)
	}
	if said := fails(t, e, "mana", "upgrade-postgres", "--config", e.config); !strings.Contains(said, "stop the edge first") {
		t.Errorf("again: %s", said)
	}
	e.stop(t)
	if said := fails(t, e, "mana", "upgrade-postgres", "--config", e.config); !strings.Contains(said, "not a newer") {
		t.Errorf("again: %s", said)
	}
}
