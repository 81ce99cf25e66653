package command_test

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

type importJSON struct {
	DryRun bool
	Tables []struct {
		Table              string
		Created, Unchanged int
	}
	Mended, Refused []struct{ Table, ID, Reason string }
}

// created is how many users a report says were made, and how many were there.
func (r importJSON) users(t *testing.T) (created, unchanged int) {
	t.Helper()
	for _, table := range r.Tables {
		if table.Table == "auth.users" {
			return table.Created, table.Unchanged
		}
	}
	t.Fatal("no users in the report")
	return 0, 0
}

func TestImport(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Empty(t), pgtest.New(t)
	schema, err := os.ReadFile("../importer/testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), from.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{string(schema),
		`INSERT INTO auth.users (id, name, email) VALUES ('a', 'Ada', 'Ada@Example.com'), ('b', 'Bob', 'bob@example.com')`,
		`INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password) VALUES ('1', 'a', 'credential', 'a', 'unreadable'), ('2', 'a', 'credential', 'a', NULL)`,
		`INSERT INTO credits.balances (user_id, balance) VALUES ('a', 7)`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(to))

	for i, dry := range []bool{true, false, false} {
		args := []string{"import", "--json", "--config", file, "--from", from.DSN}
		if dry {
			args = append(args, "--dry-run")
		}
		report := edgetest.Decode[importJSON](t, edgetest.MustOperate(t, args...))
		created, unchanged := report.users(t)
		if report.DryRun != dry || created+unchanged != 2 || (i == 2) != (unchanged == 2) {
			t.Errorf("run %d: %+v", i, report)
		}
		if len(report.Refused) != 1 || report.Refused[0].ID != "2" || len(report.Mended) == 0 {
			t.Errorf("run %d: mended %+v, refused %+v", i, report.Mended, report.Refused)
		}
	}
	edgetest.MustOperate(t, "credits", "audit", "--config", file)
	text := edgetest.MustOperate(t, "import", "--config", file, "--from", from.DSN, "--dry-run")
	for _, want := range []string{"a dry run", "TABLE", "auth.users", "MENDED", "REFUSED", "newer password account"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report for people lacks %q:\n%s", want, text)
		}
	}

	_, told, err := edgetest.OperateAll(t, "import", "--json", "--config", file, "--from", pgtest.Empty(t).DSN)
	if err == nil || !strings.Contains(told, `"NOT_THE_SOURCE"`) || !strings.Contains(told, "no table auth.users") {
		t.Errorf("an empty source: %v, %s", err, told)
	}
	if _, err := edgetest.Operate(t, "", "import", "--config", file); err == nil || !strings.Contains(err.Error(), "--from is missing") {
		t.Errorf("no source: %v", err)
	}
}
