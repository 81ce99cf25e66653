package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// AdminDSN is the connection string of the superuser of the server that runs in
// dir, to the database of the edge. It holds the password.
func AdminDSN(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	creds, err := readCredentials(dir)
	if err != nil {
		return "", err
	}
	return creds.dsn(adminRole, creds.AdminPassword, databaseName), nil
}

// Major is the major version of PostgreSQL that wrote the cluster of dir; 0
// where there is none.
func Major(dir string) (int, error) {
	home, err := os.Readlink(filepath.Join(dir, markerName))
	if errors.Is(err, os.ErrNotExist) {
		home, err = dir, nil
	}
	if err != nil {
		return 0, err
	}
	return cluster{dir: dir, home: home}.major()
}

// Tool finds a client program, such as pg_dump, of that major version or a later
// one: in MANA_POSTGRES_BIN, the PATH, the usual folders. Errors: [ErrNotFound].
func Tool(ctx context.Context, name string, major int) (string, error) {
	dirs := candidates()
	if path, err := exec.LookPath(name); err == nil {
		first := 0
		if os.Getenv("MANA_POSTGRES_BIN") != "" {
			first = 1
		}
		dirs = slices.Insert(dirs, first, filepath.Dir(path))
	}
	best, newest := "", 0
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			continue
		}
		m := versionLine.FindSubmatch(out)
		if m == nil {
			continue
		}
		found, err := strconv.Atoi(string(m[1]))
		if err != nil || found < major {
			continue
		}
		if best == "" || newest != major && found == major {
			best, newest = path, found
		}
	}
	if best == "" {
		return "", fmt.Errorf("%w: %s of version %d or later is neither on the PATH nor in the usual folders: install PostgreSQL's client programs, or set MANA_POSTGRES_BIN", ErrNotFound, name, major)
	}
	return best, nil
}
