package localpg_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	foreign := pgtest.Dir(t)
	if err := os.MkdirAll(filepath.Join(foreign, "data", "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config localpg.Config
		is     error
		says   string
	}{
		{name: "no directory", says: "no directory"},
		{name: "no binaries where said", config: localpg.Config{Dir: pgtest.Dir(t), BinDir: "/nonexistent"}, is: localpg.ErrNotFound, says: "/nonexistent"},
		{name: "a reserved setting", config: localpg.Config{Dir: pgtest.Dir(t), Options: map[string]string{"Port": "1"}}, says: "Port"},
		{name: "no setting at all", config: localpg.Config{Dir: pgtest.Dir(t), Options: map[string]string{"a b": "1"}}, says: `"a b"`},
		{name: "an unknown setting", config: localpg.Config{Dir: pgtest.Dir(t), Options: map[string]string{"no_such_setting": "1"}}, says: "no_such_setting"},
		{name: "a directory of other things", config: localpg.Config{Dir: foreign}, says: filepath.Join(foreign, "data")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := localpg.Start(t.Context(), c.config)
			if err == nil {
				stop(t, s)
				t.Fatal("started")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
		})
	}
}

func TestOtherMajorVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	s := start(t, config(dir))
	version, err := ask(t.Context(), s.DSN(), `SHOW server_version_num`)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	file := filepath.Join(dir, "data", "PG_VERSION")
	if err := os.WriteFile(file, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = localpg.Start(t.Context(), config(dir))
	if !errors.Is(err, localpg.ErrMajorVersion) {
		t.Fatalf("%v, want ErrMajorVersion", err)
	}
	for _, word := range []string{"PostgreSQL 9", "PostgreSQL " + version[:2], "pg_dump", "pg_upgrade"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestLostCredentials(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	stop(t, start(t, config(dir)))
	file := filepath.Join(dir, "credentials.json")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s, err := localpg.Start(t.Context(), config(dir))
	if err == nil {
		stop(t, s)
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), file) {
		t.Errorf("%q does not name %s", err, file)
	}
}

func TestNamedBinariesAreTheOnlyOnes(t *testing.T) {
	t.Setenv("MANA_POSTGRES_BIN", "/nonexistent")
	s, err := localpg.Start(t.Context(), config(pgtest.Dir(t)))
	if err == nil {
		stop(t, s)
		t.Fatal("started")
	}
	if !errors.Is(err, localpg.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}
