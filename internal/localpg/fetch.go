package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// published are the versions the embedded-postgres library knows by major.
var published = map[int]embeddedpostgres.PostgresVersion{
	18: embeddedpostgres.V18, 17: embeddedpostgres.V17, 16: embeddedpostgres.V16,
	15: embeddedpostgres.V15, 14: embeddedpostgres.V14,
}

const newestMajor = 18

// fetch downloads the binaries of a major version (0: the newest) to the
// cluster's home, once.
func fetch(ctx context.Context, c cluster, major int, log *slog.Logger) (binaries, error) {
	if major == 0 {
		major = newestMajor
	}
	version, ok := published[major]
	if !ok {
		return binaries{}, fmt.Errorf("PostgreSQL %d is not among the versions that can be fetched", major)
	}
	root := filepath.Join(c.home, "postgresql-"+string(version))
	bin := filepath.Join(root, "bin")
	if b, err := inspect(ctx, bin, c.account); err == nil {
		return b, nil
	}
	log.Info("fetching PostgreSQL, since this machine has none", "version", version, "to", root)
	scratch, err := os.MkdirTemp(c.home, "fetch-")
	if err != nil {
		return binaries{}, err
	}
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		failed <- download(version, scratch)
	}()
	select {
	case <-ctx.Done(): // what it fetches is of no use to anyone
		go func() {
			for range failed {
			}
			os.RemoveAll(scratch)
		}()
		return binaries{}, ctx.Err()
	case err := <-failed:
		defer os.RemoveAll(scratch)
		if err != nil {
			return binaries{}, err
		}
	}
	if err := os.RemoveAll(root); err != nil {
		return binaries{}, err
	}
	if err := os.Rename(fetched(scratch), root); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, bin, c.account)
}

// fetched is where a download leaves the binaries.
func fetched(scratch string) string { return filepath.Join(scratch, "postgresql") }

// download has the embedded-postgres library unpack a version below scratch. The
// library only does so on the way to a server of its own, which it cannot run as
// root; an encoding that does not exist ends it at initdb, after the unpacking
// and before anything is made.
func download(version embeddedpostgres.PostgresVersion, scratch string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	library := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		Port(uint32(port)).
		Encoding("none: fetch only").
		CachePath(filepath.Join(scratch, "archive")).
		RuntimePath(filepath.Join(scratch, "run")).
		BinariesPath(fetched(scratch)).
		Logger(io.Discard))
	if err = library.Start(); err == nil {
		err = library.Stop()
	}
	removeLibraryLog()
	if _, missing := os.Stat(filepath.Join(fetched(scratch), "bin", "postgres")); missing != nil {
		return errors.Join(err, missing)
	}
	return openUp(fetched(scratch))
}

// openUp lets every user read and run a tree as its owner may, for the one who
// runs the server.
func openUp(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		may := info.Mode().Perm() & 0o500
		return os.Chmod(path, info.Mode().Perm()|may>>3|may>>6)
	})
}

// removeLibraryLog removes the log that the library makes in the directory for
// temporary files and keeps open. Elsewhere than on Linux it stays.
func removeLibraryLog() {
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		path, err := os.Readlink(fd)
		if err == nil && strings.HasPrefix(filepath.Base(path), "embedded_postgres_log") {
			_ = os.Remove(path)
		}
	}
}
