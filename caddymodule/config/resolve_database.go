package config

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queryModes are the names of pgx's modes, but for describe_exec: it describes
// a statement in one round trip and executes it in the next, which PgBouncer
// before 1.21 may send to two servers.
var queryModes = map[string]pgx.QueryExecMode{
	"cache_statement": pgx.QueryExecModeCacheStatement,
	"cache_describe":  pgx.QueryExecModeCacheDescribe,
	"exec":            pgx.QueryExecModeExec,
	"simple_protocol": pgx.QueryExecModeSimpleProtocol,
}

const queryModeNames = "cache_statement, cache_describe, exec or simple_protocol"

// defaultDatabaseDir is the folder of the embedded database that nobody named.
func defaultDatabaseDir() string { return filepath.Join(caddy.AppDataDir(), "mana", "postgres") }

// ResolveDatabase resolves the database alone, so that commands that need no
// more work with a config that is at fault elsewhere.
func (c Config) ResolveDatabase(env Environment) (Database, error) {
	r := &resolver{env: env, replacer: caddy.NewReplacer()}
	d := r.database(c.Database)
	return d, errors.Join(r.faults...)
}

// database decides between the embedded and an external database. An external
// one whose placeholder comes out empty is a fault: starting an empty database
// in its stead would look like the loss of every user.
func (r *resolver) database(c *DatabaseConfig) Database {
	if c == nil {
		c = &DatabaseConfig{}
		if fromEnv := r.env.Get("DATABASE_URL"); fromEnv != "" {
			return r.external("database (from DATABASE_URL)", fromEnv, c)
		}
	}
	switch {
	case c.URL != "" && c.Embedded != nil:
		r.fault("database", "is either embedded or a URL, not both")
	case c.URL != "":
		text := r.expand("database", c.URL)
		if text == "" {
			r.fault("database", "comes out empty")
		}
		return r.external("database", text, c)
	case c.Direct != "" || c.QueryMode != "":
		r.fault("database", "direct and query_mode are for a database URL, not for the embedded one")
	}
	dir := defaultDatabaseDir()
	if c.Embedded != nil && c.Embedded.Dir != "" {
		if dir = r.expand("database", c.Embedded.Dir); dir == "" {
			r.fault("database", "the folder of the embedded database comes out empty")
		}
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return Database{Dir: dir, QueryMode: pgx.QueryExecModeCacheStatement}
}

func (r *resolver) external(from, text string, c *DatabaseConfig) Database {
	d := Database{URL: NewSecret(text), Direct: NewSecret(r.expand("database", c.Direct))}
	if c.Direct != "" && !d.Direct.IsSet() {
		r.fault("database", "direct comes out empty")
	}
	if text != "" && !isPostgresURL(text) {
		r.fault(from, "not a PostgreSQL URL such as postgres://user:password@host:5432/name (percent-encode special characters of the password)")
	}
	if d.Direct.IsSet() && !isPostgresURL(d.Direct.Reveal()) {
		r.fault("database", "direct is not a PostgreSQL URL such as postgres://user:password@host:5432/name")
	}
	d.QueryMode = pgx.QueryExecModeCacheStatement
	if d.Direct.IsSet() {
		d.QueryMode = pgx.QueryExecModeCacheDescribe
	}
	if name := r.expand("database", c.QueryMode); name != "" {
		mode, ok := queryModes[name]
		switch {
		case name == "describe_exec":
			r.fault("database", "query_mode describe_exec is unsafe behind PgBouncer before 1.21, which may send its two steps to two servers; cache_describe works with all")
		case !ok:
			r.fault("database", "query_mode %q is not one of %s", name, queryModeNames)
		}
		d.QueryMode = mode
	}
	return d
}

// replica is the URL of a standby, where one is named.
func (r *resolver) replica(c Config) Secret {
	text := r.expand("replica", c.Replica)
	switch {
	case text == "":
		return Secret{}
	case !isPostgresURL(text):
		r.fault("replica", "not a PostgreSQL URL such as postgres://user:password@host:5432/name (percent-encode special characters of the password)")
	case c.Database != nil && c.Database.Embedded != nil:
		r.fault("replica", "is for a database URL; the embedded one has no standby")
	}
	return NewSecret(text)
}

// isPostgresURL drops the parser's reason: it can quote the password.
func isPostgresURL(text string) bool {
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return false
	}
	_, err := pgxpool.ParseConfig(text)
	return err == nil
}

func (r *resolver) redis(raw string) Secret {
	from := "redis"
	text := r.expand(from, raw)
	if text == "" {
		from, text = "redis (from REDIS_HOST)", r.env.redisURL()
	}
	if text == "" {
		return Secret{}
	}
	if _, err := ParseRedis(text); err != nil {
		r.fault(from, "not a Redis URL such as redis://user:password@host:6379/0 or rediss://…")
	}
	return NewSecret(text)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
