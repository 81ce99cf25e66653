package localpg_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/pgtest"
)

func TestSecretsStayInTheirFile(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	var log bytes.Buffer
	var commands strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			out, err := exec.Command("ps", "axeww", "-o", "args").Output() // with environments
			if err != nil {
				t.Error(err)
				return
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, dir) {
					commands.WriteString(line)
				}
			}
		}
	}()
	cfg := config(dir)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := start(t, cfg)
	cancel()
	<-watched
	stop(t, s)
	for _, program := range []string{"initdb", "bin/postgres -D " + dir} {
		if !strings.Contains(commands.String(), program) {
			t.Errorf("never saw %s among the processes", program)
		}
	}
	for _, dsn := range []string{s.DSN(), s.AdminDSN()} {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		if len(password) < 20 {
			t.Errorf("a password of %d characters", len(password))
		}
		if strings.Contains(commands.String(), password) {
			t.Error("a password stands on a command line or in an environment")
		}
		if strings.Contains(log.String(), password) {
			t.Error("a password stands in the log")
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err == nil && bytes.Contains(raw, []byte(password)) != (d.Name() == "credentials.json") {
				t.Errorf("%s holds the password, or the credentials do not", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
