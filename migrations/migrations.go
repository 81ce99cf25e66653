package migrations

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// ErrNewerSchema reports a database that a newer binary has migrated. There is
// no way down: run that binary, or restore a backup.
var ErrNewerSchema = errors.New("database schema is newer than this binary")

// Status is how far a database has come.
type Status struct {
	Current int      // greatest applied version, 0 for an empty database
	Latest  int      // greatest version this binary knows
	Pending []string // names still to apply, in order, such as "0002_users"
	Applied []string // names that this call of Apply applied, in order

	// Functions reports whether the functions of this binary are still to make.
	Functions bool
}

// Complete reports whether there is nothing left to apply.
func (s Status) Complete() bool { return len(s.Pending) == 0 && !s.Functions }

//go:embed *.sql
var files embed.FS

type migration struct {
	version int
	name    string // file name without the extension
	sql     string
}

var fileName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

// load returns the embedded migrations in order. The versions count from 1
// without a gap.
func load() ([]migration, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	all := make([]migration, 0, len(entries))
	for i, entry := range entries {
		parts := fileName.FindStringSubmatch(entry.Name())
		if parts == nil {
			return nil, fmt.Errorf("migration %q: name is not NNNN_name.sql", entry.Name())
		}
		version, err := strconv.Atoi(parts[1])
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %q: want version %d", entry.Name(), i+1)
		}
		sql, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration %q: %w", entry.Name(), err)
		}
		all = append(all, migration{version, strings.TrimSuffix(entry.Name(), ".sql"), string(sql)})
	}
	return all, nil
}

// status compares a database at version current with the embedded migrations.
// The Status is set even if the error is [ErrNewerSchema].
func status(all []migration, current int) (Status, error) {
	s := Status{Current: current, Latest: len(all)}
	if s.Current > s.Latest {
		return s, fmt.Errorf("%w: the database is at version %d, this binary knows %d", ErrNewerSchema, s.Current, s.Latest)
	}
	for _, m := range all[current:] {
		s.Pending = append(s.Pending, m.name)
	}
	return s, nil
}
