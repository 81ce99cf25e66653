package doctor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// What logs and database say of an id is told in order, and an unknown one is said to be.
func TestDoctorExplainsAnID(t *testing.T) {
	t.Parallel()
	const id = "ABCDEFGHIJKLMNOPQRSTUVWX23"
	db := pgtest.New(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "edge.log")
	lines := `{"level":"info","ts":1796032835.5,"msg":"other","request_id":"ZZZZZZZZZZZZZZZZZZZZZZZZZZ"}
{"level":"error","ts":1796032836.25,"logger":"mana.api","msg":"request failed","route":"/api/v1/auth/login","method":"POST","request_id":"` + id + `","error":"no\nroom"}
not JSON "` + id + `"
{"level":"info","ts":"2026-11-30T10:00:00Z","msg":"of the text","note":"` + id + `2"}
`
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	config := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	whole["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "file", "filename": log}}}}
	if text, err = json.Marshal(whole); err != nil {
		t.Fatal(err)
	}
	logged := filepath.Join(dir, "logged.json")
	if err := os.WriteFile(logged, text, 0o600); err != nil {
		t.Fatal(err)
	}
	type mention struct{ Where, What string }
	explained := func(stdin string, args ...string) ([]mention, error) {
		t.Helper()
		out, err := edgetest.Operate(t, stdin, append([]string{"doctor", "--json", "--explain"}, args...)...)
		if out == "" {
			return nil, err
		}
		return edgetest.Decode[[]mention](t, out), err
	}

	for name, args := range map[string][]string{"log of the config": {id, "--config", logged}, "named log": {id, "--config", config, "--log", log}} {
		found, err := explained("", args...)
		if err != nil || len(found) != 2 || found[1].Where != log ||
			found[1].What != "level=error logger=mana.api msg=request failed method=POST route=/api/v1/auth/login error=no room request_id="+id {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if found, err := explained(lines, id, "--config", config, "--log", "-"); err != nil || len(found) != 2 || found[1].Where != "stdin" {
		t.Errorf("what comes in: %+v, %v", found, err)
	}
	db.Tamper(t, `INSERT INTO auth.users (id, email, name, email_verified, created_at, updated_at) VALUES ('u-explained', 'ada@example.test', 'Ada', true, now(), now())`)
	for _, who := range []string{"u-explained", "ada@example.test"} {
		if found, err := explained("", who, "--config", config); err != nil || len(found) != 1 || found[0].Where != "account" || !strings.Contains(found[0].What, "ada@example.test role=user") {
			t.Errorf("%s: %+v, %v", who, found, err)
		}
	}
	for want, args := range map[string][]string{
		"writes no log to a file":         {"UNKNOWNUNKNOWN", "--config", config},
		"neither the database nor " + log: {"UNKNOWNUNKNOWN", "--config", logged},
		"no such file":                    {id, "--config", config, "--log", filepath.Join(dir, "none")},
		`--explain: "a b" is no id`:       {"a b", "--config", config},
		`--explain: "" is no id`:          {"", "--config", config},
		"the database was not asked":      {id, "--config", edgetest.ConfigFile(t, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": "postgres://mana@" + freeport.Address(t) + "/mana"})), "--log", log},
	} {
		if _, err := explained("", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
	if _, err := edgetest.Operate(t, "", "doctor", "--config", config, "--log", log); err == nil || !strings.Contains(err.Error(), "for --explain alone") {
		t.Errorf("--log alone: %v", err)
	}
}
