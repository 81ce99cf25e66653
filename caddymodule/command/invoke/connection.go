package invoke

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
)

// Connection is a database in a command's hands.
type Connection struct {
	At      services.Address
	name    string // for people, without a password
	dir     string // of the embedded database
	Started bool   // by this command
	Release func()
}

// errNoCluster reports that there is no embedded database where a command looks
// for one. Commands never make one: an account in a database that no edge
// serves would look like success.
var errNoCluster = errors.New("there is no embedded database")

// Connect finds the address of the database and starts an embedded one that
// nobody runs for the moment.
func Connect(ctx context.Context, d config.Database, log *slog.Logger) (Connection, error) {
	c := Connection{At: services.AddressOf(d), dir: d.Dir, Release: func() {}}
	if !d.Embedded() {
		c.name = d.Name()
		return c, nil
	}
	c.At.Embedded = true
	dsn, running, err := attach(ctx, d.Dir)
	if err == nil && !running {
		dsn, err = c.start(ctx, log)
	}
	if err != nil {
		return c, fmt.Errorf("database: %w", err)
	}
	c.At.Pool, c.At.Listen = dsn, dsn
	c.name = "embedded in " + d.Dir
	if c.Started {
		c.name += ", which no edge runs at the moment"
	}
	return c, nil
}

// start runs an embedded server that exists. Where one came up in between, that
// is used.
func (c *Connection) start(ctx context.Context, log *slog.Logger) (dsn string, err error) {
	exists, err := localpg.Exists(c.dir)
	if err != nil {
		return "", err
	}
	if !exists {
		return "", fmt.Errorf("%w in %s, and none is made by a command: name the config of the edge with --config, "+
			"run the command with the environment of the edge, or start the edge first", errNoCluster, c.dir)
	}
	server, release, err := services.AcquireEmbedded(ctx, c.dir, log)
	if errors.Is(err, localpg.ErrInUse) {
		dsn, running, attachErr := attach(ctx, c.dir)
		if running || attachErr != nil {
			return dsn, attachErr
		}
	}
	if err != nil {
		return "", err
	}
	c.Started, c.Release = true, release
	return server.DSN(), nil
}

// attach asks for a running server. A folder that does not exist has none.
func attach(ctx context.Context, dir string) (string, bool, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return localpg.Attach(ctx, dir)
}

// Dir is the directory of an embedded database.
func (c Connection) Dir() string { return c.dir }
