package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mana.how/edge/internal/pgtest"
)

// The move that docs/operations.md describes: everything of an embedded database
// serves from another server, and tokens issued before it stay good.
func TestDumpMovesToAnotherServer(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "edsger@mana.how", "192.0.2.5")
	access, refresh := login(t, e, "edsger@mana.how", "192.0.2.5")

	old := filepath.Join(e.dir, "postgres")
	var credentials struct {
		AdminPassword string `json:"admin_password"`
		Host          string
		Port          int
	}
	text, err := os.ReadFile(filepath.Join(old, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(text), &credentials)
	key, err := os.ReadFile(filepath.Join(old, "encryption_key"))
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(e.dir, "mana.dump")
	query := "/mana?host=" + credentials.Host + "&port=" + strconv.Itoa(credentials.Port)
	tool(t, "pg_dump", "--format=custom", "--data-only", "--exclude-schema=mana", "--file", dump,
		"postgresql://postgres:"+credentials.AdminPassword+"@"+query)
	e.stop(t)

	other := pgtest.Empty(t)
	e.run(t, "mana", "migrate", "--database", other.DSN)
	admin := strings.Replace(other.Server().AdminDSN(), "/postgres?", "/"+other.Name+"?", 1)
	tool(t, "pg_restore", "--data-only", "--disable-triggers", "--dbname", admin, dump)

	e.Database = "{env.DATABASE_URL}"
	e.Env = []string{"DATABASE_URL=" + other.DSN, "MANA_ENCRYPTION_KEY=" + strings.TrimSpace(string(key))}
	e.start(t)
	want(t, send(t, e.client(), http.MethodGet, e.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access), http.StatusOK)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusOK)
	login(t, e, "edsger@mana.how", "192.0.2.6")
}

func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
