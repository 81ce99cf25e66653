package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

var (
	// ErrNotFound reports that no PostgreSQL binaries were found or could be fetched.
	ErrNotFound = errors.New("no PostgreSQL binaries")
	// ErrMajorVersion reports a data directory that another major version wrote.
	ErrMajorVersion = errors.New("data directory of another PostgreSQL major version")
	// ErrInUse reports a directory whose server belongs to a live process.
	ErrInUse = errors.New("directory in use by another process")
)

// Config says where a private server lives and what it runs.
type Config struct {
	// Dir holds the cluster, its credentials and its log. It belongs to this
	// package: it is created if missing and its mode is set. See the package
	// documentation for where a process of root keeps the cluster instead.
	Dir string
	// Logger receives the server's life, never a secret. Nil discards.
	Logger *slog.Logger
	// BinDir is the directory of initdb and postgres. Empty: MANA_POSTGRES_BIN,
	// the PATH, the usual folders, then a download.
	BinDir string
	// Options are settings of postgresql.conf by name. They win over the
	// package's own, but for those that say where the server listens.
	Options map[string]string
}

// Start runs a private PostgreSQL in cfg.Dir and returns once it takes
// connections. An empty directory is initialised; a server that a dead process
// left behind is stopped first. ctx bounds the start only: the server then lives
// until [Server.Stop].
//
// Errors: [ErrInUse], [ErrNotFound], [ErrMajorVersion], or what initdb and
// postgres said.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	options, err := checkOptions(cfg.Options)
	if err != nil {
		return nil, err
	}
	dir, err := openDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := acquireLock(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()
	return start(ctx, cfg, dir, lock, options)
}

// start runs the server of a directory that is locked.
func start(ctx context.Context, cfg Config, dir string, lock *dirLock, options map[string]string) (*Server, error) {
	cl, err := locate(dir)
	if err != nil {
		return nil, err
	}
	if cl.home != dir {
		cfg.Logger.Warn("the database lives outside its directory, which the unprivileged server user cannot reach",
			"dir", dir, "cluster", cl.home, "user", cl.account.name)
	}
	bin, err := findBinaries(ctx, cfg.BinDir, cl, cfg.Logger)
	if err != nil {
		return nil, err
	}
	if err := cl.evict(ctx, cfg.Logger); err != nil {
		return nil, err
	}
	creds, err := cl.prepare(ctx, bin, options["fsync"] != "off", cfg.Logger)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cluster: cl, bin: bin, options: options, creds: creds, lock: lock, log: cfg.Logger,
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	began := time.Now()
	p, err := s.boot(ctx)
	if err != nil {
		return nil, err
	}
	if err := bootstrap(ctx, s.AdminDSN(), s.creds); err != nil {
		p.terminate(s.log)
		return nil, fmt.Errorf("prepare the login role and database: %w", err)
	}
	s.log.Info("embedded PostgreSQL is ready", "version", bin.version, "cluster", cl.home, "pid", p.pid(), "took", time.Since(began))
	s.current = p
	go s.supervise(p)
	return s, nil
}

// openDir creates dir and returns it absolute and free of symbolic links, so that
// one directory has one name.
func openDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no directory for the embedded PostgreSQL")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create the directory of the embedded PostgreSQL: %w", err)
	}
	return filepath.EvalSymlinks(dir)
}
