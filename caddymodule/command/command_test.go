package command_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

type accountJSON struct {
	ID, Email, Name, Role, Password string
	EmailVerified                   bool
	DisabledAt                      *time.Time
}

func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	type schema struct {
		Current, Latest  int
		Pending, Applied []string
	}
	status := func(args ...string) schema {
		t.Helper()
		out, err := edgetest.Operate(t, "", append([]string{"migrate", "--json", "--database", db.DSN}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return edgetest.Decode[schema](t, out)
	}
	before := status("--status")
	if before.Current != 0 || before.Latest == 0 || len(before.Pending) != before.Latest || len(before.Applied) != 0 {
		t.Fatalf("an empty database: %+v", before)
	}
	after := status()
	if after.Current != before.Latest || len(after.Pending) != 0 || len(after.Applied) != before.Latest {
		t.Fatalf("migrated: %+v", after)
	}
	db.DSN += "&pool_max_conns=2" // is for pgx, not for PostgreSQL
	if again := status(); again.Current != after.Current || len(again.Applied) != 0 {
		t.Fatalf("migrated again: %+v", again)
	}
}

func TestUserCommands(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	run := func(input string, args ...string) string {
		t.Helper()
		out, err := edgetest.Operate(t, input, append(args, "--json", "--config", file)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	made := edgetest.Decode[accountJSON](t, run("", "user", "create", "--email", "Ada@Example.com", "--name", "Ada", "--role", "admin"))
	if made.Email != "ada@example.com" || made.Role != "admin" || !made.EmailVerified || len(made.Password) < 20 {
		t.Fatalf("made %+v", made)
	}
	second := edgetest.Decode[accountJSON](t, run("correct horse battery\n", "user", "create", "--email", "bob@example.com", "--password-stdin"))
	if second.Password != "" || second.Role != "user" {
		t.Fatalf("made %+v", second)
	}
	if list := edgetest.Decode[[]accountJSON](t, run("", "user", "list", "--search", "BOB")); len(list) != 1 || list[0].ID != second.ID {
		t.Fatalf("found %+v", list)
	}
	if got := edgetest.Decode[accountJSON](t, run("", "user", "role", "bob@example.com", "service")); got.Role != "service" {
		t.Fatalf("role: %+v", got)
	}
	if got := edgetest.Decode[accountJSON](t, run("", "user", "disable", second.ID)); got.DisabledAt == nil {
		t.Fatalf("disabled: %+v", got)
	}
	if got := edgetest.Decode[accountJSON](t, run("", "user", "disable", second.ID, "--enable")); got.DisabledAt != nil {
		t.Fatalf("enabled: %+v", got)
	}
	if got := edgetest.Decode[[]any](t, run("", "user", "sessions", made.ID)); len(got) != 0 {
		t.Fatalf("sessions: %+v", got)
	}
	if got := edgetest.Decode[map[string]any](t, run("", "user", "sessions", made.ID, "--revoke")); got["revoked"] != 0.0 {
		t.Fatalf("revoked: %+v", got)
	}

	table, err := edgetest.Operate(t, "", "user", "list", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") {
		t.Errorf("table:\n%s", table)
	}
}

func TestUserCommandsFail(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	for name, args := range map[string][]string{
		"unknown account": {"user", "disable", "nobody@example.com"},
		"unknown role":    {"user", "create", "--email", "x@example.com", "--role", "king"},
		"no address":      {"user", "create"},
		"no argument":     {"user", "role"},
		"unknown command": {"user", "promote"},
	} {
		if out, err := edgetest.Operate(t, "", append(args, "--config", file)...); err == nil {
			t.Errorf("%s: no error, but %s", name, out)
		}
	}
}

func TestKeysCommands(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	type key struct {
		ID, State string
		SignsFrom time.Time
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := edgetest.Operate(t, "", append(args, "--json", "--config", file)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	if keys := edgetest.Decode[[]key](t, run("keys", "list")); len(keys) != 1 || keys[0].State != "signing" {
		t.Fatalf("keys: %+v", keys)
	}
	fresh := edgetest.Decode[key](t, run("keys", "rotate"))
	keys := edgetest.Decode[[]key](t, run("keys", "list"))
	if len(keys) != 2 || fresh.State != "announced" {
		t.Fatalf("rotated %+v to %+v", fresh, keys)
	}
	now := edgetest.Decode[key](t, run("keys", "rotate", "--now"))
	if time.Until(now.SignsFrom) > time.Minute {
		t.Fatalf("rotated at once: %+v", now)
	}
	if until := time.Until(fresh.SignsFrom); until < 30*time.Minute {
		t.Fatalf("announced for %s only", until)
	}
	// The announced key never signs now, and the list says so.
	keys = edgetest.Decode[[]key](t, run("keys", "list"))
	if len(keys) != 3 || keys[1].State != "gone" {
		t.Fatalf("after rotating at once: %+v", keys)
	}
	time.Sleep(time.Until(now.SignsFrom)) // the states of the lists below are of one moment
	signing := keys[slices.IndexFunc(keys, func(k key) bool { return k.State == "signing" })]
	revoked := edgetest.Decode[[]key](t, run("keys", "revoke", signing.ID))
	if listed := edgetest.Decode[[]key](t, run("keys", "list")); !slices.Equal(listed, revoked) {
		t.Fatalf("revoke lists %+v, list %+v", revoked, listed)
	}
	if last := revoked[len(revoked)-1]; last.State != "signing" || time.Until(last.SignsFrom) > 0 {
		t.Fatalf("after revoking %s: %+v", signing.ID, revoked)
	}
	if _, err := edgetest.Operate(t, "", "keys", "revoke", "nosuchkey", "--config", file); err == nil || !strings.Contains(err.Error(), "no signing key has this id") {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestCommandsNeedAnUpToDateSchema(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.Empty(t)))
	_, err := edgetest.Operate(t, "", "user", "list", "--config", file)
	if err == nil || !strings.Contains(err.Error(), "mana-edge mana migrate") {
		t.Errorf("got %v", err)
	}
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	app := edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "cookie_domain", ".example.com")
	found, err := edgetest.Findings(t, app)
	if err != nil {
		t.Errorf("%v: %+v", err, found)
	}
	for _, check := range []string{"config", "database", "listen", "clock", "roles", "schema", "row security", "keys", "cookies", "redis", "stripe"} {
		if found[check].Status != "ok" {
			t.Errorf("%s: %+v", check, found[check])
		}
	}
}

func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	good := edgetest.ExternalApp(db)
	if _, err := edgetest.Findings(t, good); err != nil { // makes the first key
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), `SET ROLE mana_owner; ALTER TABLE auth.verification NO FORCE ROW LEVEL SECURITY; RESET ROLE`); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		app         map[string]any
		check, want string
	}{
		"table laid open": {good, "row security", "auth.verification"},
		"other key":       {edgetest.With(good, "encryption_key", strings.Repeat("other", 8)), "keys", ""},
		"config":          {edgetest.With(good, "cookie_domain", ".mana.how"), "config", "cookie_domain"},
		"redis away":      {edgetest.With(good, "redis", "redis://"+freeport.Address(t)), "redis", "does not answer"},
		"database away":   {edgetest.With(good, "database", map[string]any{"url": "postgres://mana:pw@" + freeport.Address(t) + "/mana"}), "database", "connect"},
		"empty database":  {edgetest.With(good, "database", map[string]any{"url": pgtest.Empty(t).DSN}), "schema", "mana-edge mana migrate"},
		"superuser":       {edgetest.With(good, "database", map[string]any{"url": db.AdminDSN()}), "roles", "superuser"},
		"direct astray":   {edgetest.With(good, "database", map[string]any{"url": db.DSN, "direct": pgtest.New(t).DSN}), "listen", "same database"},
	} {
		found, err := edgetest.Findings(t, tt.app)
		if err == nil {
			t.Errorf("%s: nothing failed", name)
		}
		if f := found[tt.check]; f.Status != "fail" || !strings.Contains(f.Detail, tt.want) {
			t.Errorf("%s: %+v, want %s to fail with %q", name, f, tt.check, tt.want)
		}
	}
}

// An operator can work from any machine that reaches the database.
func TestCommandsNeedNoKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := edgetest.Findings(t, edgetest.ExternalApp(db)); err != nil { // makes the first key
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"user", "create", "--email", "ada@example.com"},
		{"user", "list"},
		{"user", "role", "ada@example.com", "admin"},
		{"user", "sessions", "ada@example.com", "--revoke"},
		{"user", "disable", "ada@example.com"},
		{"user", "disable", "ada@example.com", "--enable"},
		{"credits", "grant", "--user", "ada@example.com", "--amount", "5"},
		{"gift", "create", "--user", "ada@example.com", "--credits", "1"},
		{"credits", "audit"},
	} {
		if _, err := edgetest.Operate(t, "", append(args, "--database", db.DSN)...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := edgetest.Operate(t, "", "keys", "rotate", "--database", db.DSN); err == nil || !strings.Contains(err.Error(), "encryption_key: missing") {
		t.Errorf("keys rotate: %v", err)
	}
	if _, err := edgetest.Operate(t, "", "user", "list", "--database", ""); err == nil || !strings.Contains(err.Error(), "--database is empty") {
		t.Errorf("an empty --database: %v", err)
	}
}

// With the embedded database commands talk to the server that runs, or start an
// existing one for the moment. They make none, and say which one they used.
func TestCommandsOnTheEmbeddedDatabase(t *testing.T) {
	edgetest.StopAtEnd(t)
	dir := filepath.Join(pgtest.Dir(t), "postgres")
	app := map[string]any{
		"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "https://auth.example.com",
	}
	file := edgetest.ConfigFile(t, app)
	for _, args := range [][]string{
		{"user", "create", "--email", "ada@example.com"}, {"migrate"}, {"migrate", "--status"}, {"keys", "list"}, {"doctor"},
	} {
		for _, place := range [][]string{{"--config", file}, {"--database", "embedded:" + dir}} {
			out, told, err := edgetest.OperateAll(t, append(args, place...)...)
			if err == nil || !strings.Contains(out+told, dir) || !strings.Contains(out+told, "no embedded database") {
				t.Errorf("%v %v without a database: %v, %s%s", args, place, err, out, told)
			}
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a command made something in %s: %v", dir, err)
	}
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
		t.Fatal(err)
	}
	create := func(email string) {
		t.Helper()
		_, told, err := edgetest.OperateAll(t, "user", "create", "--email", email, "--json", "--database", "embedded:"+dir)
		if err != nil || !strings.Contains(told, "embedded in "+dir) {
			t.Fatalf("%v, stderr %q does not name the database", err, told)
		}
	}
	create("ada@example.com")
	if err := edgetest.LiveRuntime(t).Auth.Ready(t.Context()); err != nil {
		t.Errorf("the command ended the running server: %v", err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	edgetest.Eventually(t, "the edge is gone", func() bool { return edgetest.OpenRuntimes() == 0 })
	create("grace@example.com")
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
		t.Fatalf("the command left the database in use: %v", err)
	}
	found, err := edgetest.Operate(t, "", "user", "list", "--json", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if users := edgetest.Decode[[]accountJSON](t, found); len(users) != 2 {
		t.Errorf("found %s", found)
	}
}

// A command says which database it worked on, and never with its password.
func TestCommandsNameTheirDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	url, err := pgx.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	out, told, err := edgetest.OperateAll(t, "user", "list", "--json", "--database", db.DSN)
	if err != nil || !strings.Contains(told, "database "+db.Name) || strings.Contains(told, url.Password) || strings.Contains(out, "database:") {
		t.Errorf("%v, stdout %q, stderr %q", err, out, told)
	}
}
