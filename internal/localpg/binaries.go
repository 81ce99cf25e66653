package localpg

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// usualFolders are where distributions put the binaries they keep off the PATH.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/pgsql/bin",
}

// binaries is a directory with initdb and postgres of one version.
type binaries struct {
	dir     string
	version string // as "15.18"
	major   int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries returns binaries that fit the cluster. A directory that was named
// is the only candidate; else the PATH comes first, then the newest of the usual
// folders, and among those that fit nothing is downloaded.
func findBinaries(ctx context.Context, named string, c cluster, log *slog.Logger) (binaries, error) {
	want, err := c.major()
	if err != nil {
		return binaries{}, err
	}
	if named == "" {
		named = os.Getenv("MANA_POSTGRES_BIN")
	}
	if named != "" {
		b, err := inspect(ctx, named, c.account)
		if err != nil {
			return binaries{}, fmt.Errorf("%w in %s: %w", ErrNotFound, named, err)
		}
		return b, fits(b, want, c)
	}
	return findMajor(ctx, c, want, log)
}

// findMajor returns binaries of a major version (0: the best) from the PATH, the usual
// folders or a download.
func findMajor(ctx context.Context, c cluster, want int, log *slog.Logger) (binaries, error) {
	var found []binaries
	for _, dir := range candidates() {
		b, err := inspect(ctx, dir, c.account)
		if err != nil {
			log.Debug("passing over PostgreSQL binaries", "dir", dir, "error", err)
			continue
		}
		if want == 0 || b.major == want {
			return b, nil
		}
		found = append(found, b)
	}
	if len(found) > 0 {
		return binaries{}, fits(found[0], want, c)
	}
	b, err := fetch(ctx, c, want, log)
	if err != nil {
		return binaries{}, fmt.Errorf("%w on the PATH or in the usual folders, and fetching them failed (install PostgreSQL, or set MANA_POSTGRES_BIN): %w", ErrNotFound, err)
	}
	return b, fits(b, want, c)
}

// fits refuses binaries of another major version than the data.
func fits(b binaries, want int, c cluster) error {
	if want == 0 || b.major == want {
		return nil
	}
	return fmt.Errorf("%w: %s was written by PostgreSQL %d, %s is PostgreSQL %s: point MANA_POSTGRES_BIN at PostgreSQL %d, or move the data with pg_dump or pg_upgrade",
		ErrMajorVersion, c.data(), want, b.dir, b.version, want)
}

// candidates lists directories that may hold binaries, best first.
func candidates() []string {
	var dirs []string
	if named := os.Getenv("MANA_POSTGRES_BIN"); named != "" {
		dirs = append(dirs, named)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range usualFolders {
		matches, _ := filepath.Glob(pattern)
		slices.SortStableFunc(matches, func(a, b string) int { return pathMajor(b) - pathMajor(a) })
		for _, dir := range matches {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

// pathMajor is the first number in a folder's name, 0 without one.
func pathMajor(dir string) int {
	n, _ := strconv.Atoi(digits.FindString(dir))
	return n
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)(\S*)`)

// inspect asks the binaries in dir for their version, as the user who will run
// them.
func inspect(ctx context.Context, dir string, a account) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", serverEnv(), a.attributes()
	out, err := cmd.Output()
	if err != nil {
		return binaries{}, fmt.Errorf("run %s as user %s: %w", cmd.Path, a.name, err)
	}
	m := versionLine.FindStringSubmatch(string(out))
	if m == nil {
		return binaries{}, fmt.Errorf("%s does not tell its version: %q", cmd.Path, strings.TrimSpace(string(out)))
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return binaries{}, err
	}
	return binaries{dir: dir, version: m[1] + m[2], major: major}, nil
}
