package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/localpg"
)

// connection is a database in a command's hands.
type connection struct {
	at      address
	name    string // for people, without a password
	dir     string // of the embedded database
	started bool   // by this command
	release func()
}

// errNoCluster reports that there is no embedded database where a command looks
// for one. Commands never make one: an account in a database that no edge
// serves would look like success.
var errNoCluster = errors.New("there is no embedded database")

// connect finds the address of the database and starts an embedded one that
// nobody runs for the moment.
func (d database) connect(ctx context.Context, log *slog.Logger) (connection, error) {
	c := connection{at: d.address(), dir: d.dir, release: func() {}}
	if !d.embedded() {
		c.name = d.name()
		return c, nil
	}
	c.at.embedded = true
	dsn, running, err := attach(ctx, d.dir)
	if err == nil && !running {
		dsn, err = c.start(ctx, log)
	}
	if err != nil {
		return c, fmt.Errorf("database: %w", err)
	}
	c.at.pool, c.at.listen = dsn, dsn
	c.name = "embedded in " + d.dir
	if c.started {
		c.name += ", which no edge runs at the moment"
	}
	return c, nil
}

// start runs an embedded server that exists. Where one came up in between, that
// is used.
func (c *connection) start(ctx context.Context, log *slog.Logger) (dsn string, err error) {
	exists, err := localpg.Exists(c.dir)
	if err != nil {
		return "", err
	}
	if !exists {
		return "", fmt.Errorf("%w in %s, and none is made by a command: name the config of the edge with --config, "+
			"run the command with the environment of the edge, or start the edge first", errNoCluster, c.dir)
	}
	server, release, err := acquireEmbedded(ctx, c.dir, log)
	if errors.Is(err, localpg.ErrInUse) {
		dsn, running, attachErr := attach(ctx, c.dir)
		if running || attachErr != nil {
			return dsn, attachErr
		}
	}
	if err != nil {
		return "", err
	}
	c.started, c.release = true, release
	return server.DSN(), nil
}

// attach asks for a running server. A folder that does not exist has none.
func attach(ctx context.Context, dir string) (string, bool, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return localpg.Attach(ctx, dir)
}

// name is where an external database is, for people.
func (d database) name() string {
	config, err := pgxpool.ParseConfig(d.address().listen)
	if err != nil {
		return "PostgreSQL"
	}
	var hosts []string
	add := func(host string, port uint16) {
		at := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if filepath.IsAbs(host) {
			at = host
		}
		if len(hosts) == 0 || hosts[len(hosts)-1] != at { // with TLS or without: one host
			hosts = append(hosts, at)
		}
	}
	add(config.ConnConfig.Host, config.ConnConfig.Port)
	for _, other := range config.ConnConfig.Fallbacks {
		add(other.Host, other.Port)
	}
	return fmt.Sprintf("PostgreSQL at %s, database %s", strings.Join(hosts, ", "), config.ConnConfig.Database)
}
