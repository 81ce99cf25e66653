package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// doctorOf is what the doctor prints about a Caddyfile.
func doctorOf(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := edgetest.Operate(t, "", "doctor", "--config", file)
	return out
}

// The doctor begins with what validate finds, ours and Caddy's, and warns of
// secrets in the config and of an admin endpoint that others reach.
func TestDoctorLooksAtTheConfig(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	head := "{\n\tmana {\n\t\tdatabase " + db.DSN + "\n\t\tbase_url https://auth.example.test\n\t\tservice_key 0123456789abcdef0123456789abcdef\n\t\tencryption_key {env.NOT_SET_ANYWHERE}" + strings.Repeat("k", 32) + "\n"
	out := doctorOf(t, head+"\t}\n}\nhttp://a.example.test {\n\tmana_auth\n\trespond ok\n}\n")
	lines := strings.Split(out, "\n")
	if !strings.HasPrefix(lines[0], "ok") || !strings.Contains(lines[0], "config") {
		t.Errorf("begins with %q", lines[0])
	}
	for _, want := range []string{"service_key holds a secret in clear", "database holds a secret in clear", "the admin endpoint is at localhost:2019"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "encryption_key holds") || strings.Contains(out, "0123456789abcdef") {
		t.Errorf("a placeholder is taken for a secret, or one is printed:\n%s", out)
	}
	out = doctorOf(t, strings.Replace(head, "{\n", "{\n\tadmin unix//run/edge.sock\n", 1)+"\t\tredis nowhere\n\t\tcolour red\n\t}\n}\nhttp://a.example.test {\n\tmana_rate_limit 5\n}\n")
	for _, want := range []string{`mana has no directive "colour"`, "site a.example.test: mana_rate_limit:", "mana: redis:", "admin         at unix//run/edge.sock"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if out = doctorOf(t, head+"\t}\n}\nhttp://a.example.test {\n\tmana_auth\n\treverse_proxy {\n\t\tlb_policy cookie {\n\t\t\tfallback nonsense\n\t\t}\n\t}\n}\n"); strings.HasPrefix(out, "ok") {
		t.Errorf("what Caddy refuses is ok:\n%s", out)
	}
}

// A pooler that still serves connections from before a change is told apart
// from a setting that is wrong.
func TestDoctorSaysReconnect(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pooled := edgetest.ThroughPgBouncer(t, db)
	conn, err := pgx.Connect(t.Context(), pooled+sep(pooled)+"default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	app := edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": pooled, "direct": db.DSN})
	if found, _ := edgetest.Findings(t, app); strings.Contains(found["pooler"].Detail, "RECONNECT") {
		t.Errorf("nothing changed: %+v", found["pooler"])
	}
	admin, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	var name string
	if err := admin.QueryRow(t.Context(), "SELECT quote_ident(current_database())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), "ALTER DATABASE "+name+" SET work_mem = '5MB'"); err != nil {
		t.Fatal(err)
	}
	out, _ := edgetest.Operate(t, "", "doctor", "--config", edgetest.ConfigFile(t, app))
	if !strings.Contains(out, "work_mem") || !strings.Contains(out, "RECONNECT") {
		t.Errorf("says nothing of RECONNECT:\n%s", out)
	}
}

func sep(url string) string {
	if strings.Contains(url, "?") {
		return "&"
	}
	return "?"
}
