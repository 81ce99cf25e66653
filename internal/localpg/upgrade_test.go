package localpg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

// An upgrade puts what is filled in the place of the data, under the same credentials, and
// keeps the old data beside it; one that fails leaves all as it was.
func TestUpgradeChangesPlaces(t *testing.T) {
	t.Parallel()
	cfg := config(pgtest.Dir(t))
	write := func(s *localpg.Server, text string) {
		t.Helper()
		if _, err := ask(t.Context(), s.DSN(), `CREATE TABLE told AS SELECT '`+text+`'::text AS text`); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, cfg)
	write(s, "old")
	dsn := s.DSN()
	if _, err := localpg.UpgradeAnyway(t.Context(), cfg, nil); !errors.Is(err, localpg.ErrInUse) {
		t.Errorf("while the server runs: %v", err)
	}
	stop(t, s)
	tells := func(text string) {
		t.Helper()
		s := start(t, cfg)
		want(t, s.DSN(), `SELECT text FROM told`, text)
		if s.DSN() != dsn {
			t.Error("the credentials have changed")
		}
		stop(t, s)
	}
	if _, err := localpg.Upgrade(t.Context(), cfg, nil); !errors.Is(err, localpg.ErrNotNewer) {
		t.Errorf("to the same version: %v", err)
	}
	failed := errors.New("failed")
	_, err := localpg.UpgradeAnyway(t.Context(), cfg, func(_ context.Context, _, to *localpg.Server) error {
		write(to, "half")
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("a copy that fails: %v", err)
	}
	tells("old")

	done, err := localpg.UpgradeAnyway(t.Context(), cfg, func(_ context.Context, from, to *localpg.Server) error {
		want(t, from.DSN(), `SELECT text FROM told`, "old")
		if _, err := localpg.Start(t.Context(), cfg); !errors.Is(err, localpg.ErrInUse) {
			t.Errorf("an edge starts meanwhile: %v", err)
		}
		write(to, "new")
		return nil
	})
	if err != nil || done.From != done.To {
		t.Fatalf("%+v, %v", done, err)
	}
	tells("new")
	home := filepath.Dir(done.Kept)
	if _, err := os.Stat(filepath.Join(home, "upgrade")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if _, err := localpg.UpgradeAnyway(t.Context(), cfg, nil); err == nil {
		t.Error("the old data would be written over")
	}

	// The way back.
	data := filepath.Join(home, "data")
	if err := errors.Join(os.RemoveAll(data), os.Rename(done.Kept, data)); err != nil {
		t.Fatal(err)
	}
	tells("old")
	if _, err := localpg.Upgrade(t.Context(), config(pgtest.Dir(t)), nil); err == nil {
		t.Error("nothing was upgraded")
	}
}
