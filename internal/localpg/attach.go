package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Attach returns the DSN of the server that another process runs in dir, for a
// command that wants to talk to it. ok is false when none runs. A server that is
// only just starting is waited for, at most 15 s.
func Attach(ctx context.Context, dir string) (dsn string, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if dir, err = filepath.Abs(dir); err != nil {
		return "", false, err
	}
	for {
		running, err := locked(dir)
		if err != nil || !running {
			return "", false, err
		}
		creds, err := readCredentials(dir)
		if err == nil {
			dsn := creds.dsn(loginRole, creds.Password, databaseName)
			if err = ping(ctx, dsn); err == nil {
				return dsn, true, nil
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", false, err
		}
		select {
		case <-ctx.Done():
			return "", false, fmt.Errorf("the embedded PostgreSQL of %s does not answer: %w", dir, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
