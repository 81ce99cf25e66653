package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations"
)

const (
	connectTimeout = 3 * time.Second
	// poolCloseWait bounds how long closing waits for queries on their way.
	poolCloseWait = 5 * time.Second
	// embeddedMaxConns keeps two generations of pools below the embedded
	// server's 100 connections.
	embeddedMaxConns = 40
)

// address is where the database is reached.
type address struct {
	pool      string // possibly a pooler in transaction mode
	listen    string // PostgreSQL itself
	pooled    bool   // pool leads to a pooler
	embedded  bool
	queryMode pgx.QueryExecMode
}

func (d database) address() address {
	a := address{pool: d.url.Reveal(), listen: d.url.Reveal(), queryMode: d.queryMode}
	if d.direct.IsSet() {
		a.listen, a.pooled = d.direct.Reveal(), true
	}
	return a
}

// throughPool is the address with the way that requests take.
func (a address) throughPool() address {
	a.listen = a.pool
	return a
}

// openDatabase starts the embedded server where it is the one, brings the
// schema up to date and opens the pool.
func (rt *Runtime) openDatabase(ctx context.Context, s Settings, log *slog.Logger) (address, authcore.Secrets, error) {
	at, key := s.database.address(), s.encryptionKey
	if s.database.embedded() {
		server, release, err := acquireEmbedded(ctx, s.database.dir, log)
		if err != nil {
			return at, authcore.Secrets{}, fmt.Errorf("database: %w: %w", errEmbedded, err)
		}
		rt.onClose(release)
		at.pool, at.listen, at.embedded = server.DSN(), server.DSN(), true
		if !key.IsSet() {
			if key, err = embeddedKey(s.database.dir); err != nil {
				return at, authcore.Secrets{}, fmt.Errorf("encryption_key: %w", err)
			}
		}
	}
	secrets, err := s.secrets(key)
	if err != nil {
		return at, authcore.Secrets{}, err
	}
	status, err := migrate(ctx, at)
	if err != nil {
		return at, authcore.Secrets{}, err
	}
	log.Info("database is ready", "embedded", at.embedded, "schema", status.Current)
	warnOfMight(ctx, at, log)
	if rt.Pool, err = openPool(ctx, at); err != nil {
		return at, authcore.Secrets{}, err
	}
	rt.onClose(func() { closePool(rt.Pool, log) })
	return at, secrets, nil
}

// warnOfMight speaks up where row-level security does not bind the login role.
// The process acts as other roles, so it works; whoever gets hold of the URL
// reads everything.
func warnOfMight(ctx context.Context, at address, log *slog.Logger) {
	err := withConn(ctx, at, func(conn *pgx.Conn) error {
		var role string
		err := conn.QueryRow(ctx,
			`SELECT rolname FROM pg_roles WHERE rolname = session_user AND (rolsuper OR rolbypassrls)`).Scan(&role)
		if err == nil {
			log.Warn("the login role of the database passes row-level security; make it ALTER ROLE … NOSUPERUSER NOBYPASSRLS", "role", role)
		}
		return err
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		log.Warn("look at the login role of the database", "error", err)
	}
}

// migrate applies what is pending, on a connection of its own that the session
// limits do not bind.
func migrate(ctx context.Context, at address) (migrations.Status, error) {
	return migration(ctx, at, func(ctx context.Context, conn *pgx.Conn) (migrations.Status, error) {
		status, err := migrations.Apply(ctx, conn)
		if err != nil {
			return status, err
		}
		_, err = authcore.CanonicalizeAddresses(ctx, conn)
		return status, err
	})
}

// migrateSchema is migrate without what it does to rows, so that a command can
// mend what stops that.
func migrateSchema(ctx context.Context, at address) (migrations.Status, error) {
	return migration(ctx, at, migrations.Apply)
}

// schemaStatus tells what is pending.
func schemaStatus(ctx context.Context, at address) (migrations.Status, error) {
	return migration(ctx, at, migrations.Check)
}

func migration(ctx context.Context, at address, act func(context.Context, *pgx.Conn) (migrations.Status, error)) (migrations.Status, error) {
	var status migrations.Status
	err := withConn(ctx, at, func(conn *pgx.Conn) (err error) {
		status, err = act(ctx, conn)
		return err
	})
	if err != nil {
		return status, explainMigration(err)
	}
	return status, nil
}

// withConn runs f on one connection to PostgreSQL itself.
func withConn(ctx context.Context, at address, f func(*pgx.Conn) error) error {
	pool, err := pgxpool.ParseConfig(at.listen)
	if err != nil {
		return errUnreadableURL
	}
	config := pool.ConnConfig
	writing(config)
	config.ConnectTimeout = connectTimeout
	config.DefaultQueryExecMode = at.queryMode
	dbscope.Prepare(config, dbscope.Unlimited)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", explainConnect(err))
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	return f(conn)
}

var (
	errUnreadableURL  = errors.New("the database URL is not readable")
	errUnnamedPooler  = errors.New("the URL leads to a pooler such as PgBouncer; name PostgreSQL itself as direct beside it")
	errEmbedded       = errors.New("the embedded PostgreSQL does not start")
	errReadOnlyServer = errors.New("the server is read-only: a standby, or one with default_transaction_read_only")
)

// explainMigration puts what an owner has to do into the text.
func explainMigration(err error) error {
	if role := (*migrations.RoleError)(nil); errors.As(err, &role) {
		return fmt.Errorf("database: the login role may not create the roles this needs; let an owner of the cluster run these statements, then try again:\n\t%s",
			strings.Join(role.Statements, "\n\t"))
	}
	return fmt.Errorf("database: %w", err)
}

func openPool(ctx context.Context, at address) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(at.pool)
	if err != nil {
		return nil, fmt.Errorf("database: %w", errUnreadableURL)
	}
	if !strings.Contains(at.pool, "pool_max_conns") {
		config.MaxConns = int32(max(8, 4*runtime.NumCPU()))
		if at.embedded {
			config.MaxConns = min(config.MaxConns, embeddedMaxConns)
		}
	}
	writing(config.ConnConfig)
	config.PingTimeout = connectTimeout
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.DefaultQueryExecMode = at.queryMode
	params := config.ConnConfig.RuntimeParams
	if _, named := params["application_name"]; !named {
		params["application_name"] = "mana-edge"
	}
	// A pooler that nobody said stands there refuses parameters it does not track.
	if _, set := params["statement_timeout"]; !set && !at.pooled {
		params["statement_timeout"] = dbscope.RequestLimits.Statement
	}
	dbscope.Prepare(config.ConnConfig, dbscope.RequestLimits)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		if strings.Contains(err.Error(), "unsupported startup parameter") {
			return nil, fmt.Errorf("database: %w: %w", errUnnamedPooler, err)
		}
		return nil, fmt.Errorf("database: %w", explainConnect(err))
	}
	return pool, nil
}

// closePool closes a pool, but does not wait for a connection that is not
// given back.
func closePool(pool *pgxpool.Pool, log *slog.Logger) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(poolCloseWait):
		log.Warn("database connections are still in use, not waiting for them", "in_use", pool.Stat().AcquiredConns())
	}
}
