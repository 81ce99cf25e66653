package command_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestOrgCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	try := func(args ...string) (string, error) {
		t.Helper()
		return edgetest.Operate(t, "", append(args, "--config", file)...)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := try(args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	run("user", "create", "--email", "ada@example.com", "--name", "Ada")
	type view struct {
		ID, Name, Slug string
		Owners         []string
		Members        int
	}
	made := edgetest.Decode[view](t, run("org", "create", "--name", "Analytical Engines", "--owner", "ada@example.com", "--json"))
	if made.ID == "" || made.Slug != "analytical-engines" || strings.Join(made.Owners, " ") != "ada@example.com" || made.Members != 1 {
		t.Errorf("made %+v", made)
	}
	for want, args := range map[string][]string{
		"--name is missing":         {"--owner", "ada@example.com"},
		"--owner is missing":        {"--name", "More"},
		"nobody@example.com: User":  {"--name", "More", "--owner", "nobody@example.com"},
		"the slug is taken":         {"--name", "More", "--owner", "ada@example.com", "--slug", "analytical-engines"},
		"slug must be lower-case":   {"--name", "More", "--owner", "ada@example.com", "--slug", "No slug"},
		"must be longer than or eq": {"--name", "M", "--owner", "ada@example.com"},
	} {
		if _, err := try(append([]string{"org", "create"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if out := run("org", "create", "--name", "Other", "--owner", "ada@example.com"); !strings.Contains(out, "other") {
		t.Errorf("in words: %s", out)
	}
	all := edgetest.Decode[[]view](t, run("org", "list", "--search", "ENGINE", "--json"))
	if len(all) != 1 || all[0].ID != made.ID || all[0].Members != 1 {
		t.Errorf("list %+v", all)
	}
	if out := run("org", "list"); strings.Count(out, "\n") != 3 || !strings.HasPrefix(out, "ID") || !strings.Contains(out, "ada@example.com") {
		t.Errorf("list: %s", out)
	}
	type member struct{ ID, UserID, Email, Name, Role string }
	members := edgetest.Decode[[]member](t, run("org", "members", "analytical-engines", "--json"))
	if len(members) != 1 || members[0].Email != "ada@example.com" || members[0].Role != "owner" || members[0].Name != "Ada" {
		t.Errorf("members %+v", members)
	}
	if out := run("org", "members", made.ID); !strings.Contains(out, "owner") {
		t.Errorf("members: %s", out)
	}
	// What people wrote draws nothing on an operator's terminal.
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE auth.organizations SET name = $1`, "Evil\x1b[2J\nID  x"); err != nil {
		t.Fatal(err)
	}
	if out := run("org", "list"); strings.Contains(out, "\x1b") || strings.Contains(out, "\nID  x") {
		t.Errorf("printed raw: %q", out)
	}
	if out := run("org", "delete", "other"); !strings.Contains(out, "deleted") {
		t.Errorf("deleted: %s", out)
	}
	for _, args := range [][]string{{"org", "delete", "other"}, {"org", "members", "other"}} {
		if _, err := try(args...); err == nil || !strings.Contains(err.Error(), "other: Organization not found") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if left := edgetest.Decode[[]view](t, run("org", "list", "--json")); len(left) != 1 {
		t.Errorf("left %+v", left)
	}
	if out := run("audit", "log"); strings.Count(out, "organization_created") != 2 || !strings.Contains(out, "organization_deleted") {
		t.Errorf("events: %s", out)
	}
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE auth.users SET email_verified = false`); err != nil {
		t.Fatal(err)
	}
	if _, err := try("org", "create", "--name", "More", "--owner", "ada@example.com"); err == nil || !strings.Contains(err.Error(), "not verified") {
		t.Errorf("for an address that is not proven: %v", err)
	}
}
