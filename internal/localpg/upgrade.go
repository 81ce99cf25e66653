package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// ErrNotNewer reports binaries that are no newer major version than the data.
var ErrNotNewer = errors.New("not a newer PostgreSQL major version")

// upgradeName is the directory, beside the data, in which the new cluster is made.
const upgradeName = "upgrade"

// Upgraded is what [Upgrade] did.
type Upgraded struct {
	From, To int    // major versions
	BinDir   string // of the new version
	Kept     string // where the old data lies
}

// Upgrade moves the data of cfg.Dir to a newer major version: to the binaries of
// cfg.BinDir, or without it MANA_POSTGRES_BIN, else the newest that is found. fill fills
// the new server's database from that of the old one; both run and serve nobody else. The
// data changes places in one step, where the system can do that, so that an end at any
// moment leaves a whole cluster: before it the old one, then the new one. The credentials
// stay the same, and the old data beside it, for the way back.
//
// Errors: [ErrInUse] while an edge runs, [ErrNotNewer], [ErrNotFound], what fill
// returns, or what the programs said. The old data is in its place then.
func Upgrade(ctx context.Context, cfg Config, fill func(ctx context.Context, from, to *Server) error) (Upgraded, error) {
	return upgrade(ctx, cfg, true, fill)
}

func upgrade(ctx context.Context, cfg Config, newer bool, fill func(ctx context.Context, from, to *Server) error) (done Upgraded, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := openDir(cfg.Dir)
	if err != nil {
		return done, err
	}
	lock, err := acquireLock(ctx, dir)
	if err != nil {
		return done, err
	}
	defer lock.release()
	c, err := locate(dir)
	if err != nil {
		return done, err
	}
	if done.From, err = c.major(); err != nil {
		return done, err
	}
	if done.From == 0 {
		return done, fmt.Errorf("%s holds no database", dir)
	}
	to, err := target(ctx, cfg, c)
	if err != nil {
		return done, err
	}
	if newer && to.major <= done.From {
		return done, fmt.Errorf("%w: the data is of PostgreSQL %d, and %s is %s", ErrNotNewer, done.From, to.dir, to.version)
	}
	done.To, done.BinDir = to.major, to.dir
	done.Kept = fmt.Sprintf("%s.%d", c.data(), done.From)
	if err := c.clearUpgrade(done.From); err != nil {
		return done, err
	}
	if _, err := os.Lstat(done.Kept); !errors.Is(err, os.ErrNotExist) {
		return done, fmt.Errorf("%s is there already, from an upgrade before: move it away", done.Kept)
	}
	from, err := findMajor(ctx, c, done.From, cfg.Logger)
	if err != nil {
		return done, fmt.Errorf("the data is of PostgreSQL %d: %w", done.From, err)
	}
	scratch := filepath.Join(c.home, upgradeName)
	if err := c.refill(ctx, cfg, lock, from, to, scratch, fill); err != nil {
		return done, errors.Join(err, os.RemoveAll(scratch))
	}
	if err := exchange(filepath.Join(scratch, "data"), c.data()); err != nil {
		return done, errors.Join(err, os.RemoveAll(scratch))
	}
	return done, c.clearUpgrade(to.major)
}

// target are the binaries to move to.
func target(ctx context.Context, cfg Config, c cluster) (binaries, error) {
	dir := cfg.BinDir
	if dir == "" {
		dir = os.Getenv("MANA_POSTGRES_BIN")
	}
	if dir == "" {
		return newest(ctx, c, cfg.Logger)
	}
	b, err := inspect(ctx, dir, c.account)
	if err != nil {
		return binaries{}, fmt.Errorf("%w in %s: %w", ErrNotFound, dir, err)
	}
	return b, nil
}

// newest are the binaries of the greatest version on the PATH and in the usual folders; a
// download where there are none.
func newest(ctx context.Context, c cluster, log *slog.Logger) (best binaries, err error) {
	for _, dir := range candidates() {
		if b, err := inspect(ctx, dir, c.account); err == nil && b.major > best.major {
			best = b
		}
	}
	if best.major == 0 {
		return fetch(ctx, c, 0, log)
	}
	return best, nil
}

// clearUpgrade takes away what an upgrade has left beside the data of a major version. Old
// data is kept: the upgrade was done, and ended before it could put it aside.
func (c cluster) clearUpgrade(major int) error {
	scratch := filepath.Join(c.home, upgradeName)
	left, err := cluster{home: scratch}.major()
	if err != nil {
		return err
	}
	if left != 0 && left <= major {
		if err := os.Rename(filepath.Join(scratch, "data"), fmt.Sprintf("%s.%d", c.data(), left)); err != nil {
			return err
		}
	}
	return os.RemoveAll(scratch)
}

// refill makes the new cluster in scratch and has it filled from the old one.
func (c cluster) refill(ctx context.Context, cfg Config, lock *dirLock, from, to binaries, scratch string, fill func(ctx context.Context, from, to *Server) error) (err error) {
	kept, err := lock.share() // a server gives up its own when it stops
	if err != nil {
		return err
	}
	cfg.BinDir = from.dir
	options, err := checkOptions(cfg.Options)
	if err != nil {
		kept.release()
		return err
	}
	source, err := start(ctx, cfg, c.dir, kept, options)
	if err != nil {
		kept.release()
		return err
	}
	defer func() { err = errors.Join(err, source.Stop(context.WithoutCancel(ctx))) }()
	dest, err := Start(ctx, Config{Dir: scratch, Logger: cfg.Logger, BinDir: to.dir, Options: cfg.Options})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dest.Stop(context.WithoutCancel(ctx))) }()
	if err := fill(ctx, source, dest); err != nil {
		return err
	}
	return dest.adopt(ctx, source.creds)
}

// adopt gives the roles of the server the passwords of another one.
func (s *Server) adopt(ctx context.Context, creds credentials) error {
	conn, err := pgx.Connect(ctx, s.AdminDSN())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, role := range [][2]string{{loginRole, creds.Password}, {adminRole, creds.AdminPassword}} {
		var statement string
		err := conn.QueryRow(ctx, `SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)`, role[0], role[1]).Scan(&statement)
		if err == nil {
			_, err = conn.Exec(ctx, statement)
		}
		if err != nil {
			return fmt.Errorf("give the role %s its password: %w", role[0], err)
		}
	}
	return nil
}

// share is the lock once more: it is held until both are released.
func (l *dirLock) share() (*dirLock, error) {
	fd, err := syscall.Dup(int(l.file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("share the lock of the embedded PostgreSQL: %w", err)
	}
	syscall.CloseOnExec(fd)
	return &dirLock{file: os.NewFile(uintptr(fd), l.file.Name())}, nil
}
