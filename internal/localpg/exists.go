package localpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Exists reports whether dir holds a cluster, running or not. It changes
// nothing, so that a caller who must not make one can look first.
func Exists(dir string) (bool, error) {
	home, err := os.Readlink(filepath.Join(dir, markerName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		home = dir
	case err != nil:
		return false, fmt.Errorf("look for the embedded PostgreSQL: %w", err)
	}
	_, err = os.Stat(filepath.Join(home, "data", "PG_VERSION"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the embedded PostgreSQL: %w", err)
	}
	return true, nil
}

// Remove deletes the cluster of dir, and dir with it. Its server must have been
// stopped.
func Remove(dir string) error {
	home, err := os.Readlink(filepath.Join(dir, markerName))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look for the embedded PostgreSQL: %w", err)
	default:
		if err := os.RemoveAll(home); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
