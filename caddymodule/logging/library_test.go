package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What a library tells of what it does is for debugging; what it warns of is a warning.
func TestLibraryTellsLess(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := slog.New(libraryHandler{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})})
	log.Info("hidden")
	log.Warn("warned")
	level.Set(slog.LevelDebug)
	log.With("a", 1).WithGroup("g").Info("told", "b", 2)
	log.Error("failed")
	got := out.String()
	for _, want := range []string{`level=WARN msg=warned`, `level=DEBUG msg=told a=1 g.b=2`, `level=ERROR msg=failed`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "hidden") {
		t.Errorf("told at level info:\n%s", got)
	}
}
