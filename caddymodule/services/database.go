package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/tracing"
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

// Address is where the database is reached.
type Address struct {
	Pool      string // possibly a pooler in transaction mode
	Listen    string // PostgreSQL itself
	Pooled    bool   // pool leads to a pooler
	Embedded  bool
	QueryMode pgx.QueryExecMode
	// LowBalance is what the connections bring as [creditcore.LowBalanceSetting],
	// zero for none.
	LowBalance creditcore.Amount
}

// AddressOf is where the settings say that the database is.
func AddressOf(d config.Database) Address {
	a := Address{Pool: d.URL.Reveal(), Listen: d.URL.Reveal(), QueryMode: d.QueryMode}
	if d.Direct.IsSet() {
		a.Listen, a.Pooled = d.Direct.Reveal(), true
	}
	return a
}

// ThroughPool is the address with the way that requests take.
func (a Address) ThroughPool() Address {
	a.Listen = a.Pool
	return a
}

// openDatabase starts the embedded server where it is the one, brings the
// schema up to date and opens the pool. The key is that of the settings, or the
// embedded database's own.
func (rt *Runtime) openDatabase(ctx context.Context, s config.Settings, log *slog.Logger) (Address, config.Secret, error) {
	at, key := AddressOf(s.Database), s.EncryptionKey
	at.LowBalance = s.LowBalance
	if s.Database.Embedded() {
		server, release, err := AcquireEmbedded(ctx, s.Database.Dir, log)
		if err != nil {
			return at, config.Secret{}, fmt.Errorf("database: %w: %w", errEmbedded, err)
		}
		rt.onClose(release)
		at.Pool, at.Listen, at.Embedded = server.DSN(), server.DSN(), true
		if !key.IsSet() {
			if key, err = embeddedKey(s.Database.Dir); err != nil {
				return at, config.Secret{}, fmt.Errorf("encryption_key: %w", err)
			}
		}
	}
	status, err := Migrate(ctx, at)
	if err != nil {
		return at, config.Secret{}, err
	}
	rt.schema = status.Current
	log.Info("database is ready", "embedded", at.Embedded, "schema", status.Current)
	WarnOfMight(ctx, at, log)
	if rt.Pool, err = OpenPool(ctx, at); err != nil {
		return at, config.Secret{}, err
	}
	rt.onClose(func() { ClosePool(rt.Pool, log) })
	return at, key, nil
}

// useFunctions says, now and then, that the functions of this edge in the database
// are used still: those that nobody uses are dropped.
func (rt *Runtime) useFunctions(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(migrations.SetUsedEvery):
		}
		if _, err := dbscope.Exec(ctx, rt.Pool, dbscope.System(), migrations.UseSet); err != nil && ctx.Err() == nil {
			log.Warn("say which functions of the database are used", "error", err)
		}
	}
}

// WarnOfMight speaks up where row-level security does not bind the login role.
// The process acts as other roles, so it works; whoever gets hold of the URL
// reads everything.
func WarnOfMight(ctx context.Context, at Address, log *slog.Logger) {
	err := WithConn(ctx, at, func(conn *pgx.Conn) error {
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

// Migrate applies what is pending, on a connection of its own that the session
// limits do not bind.
func Migrate(ctx context.Context, at Address) (migrations.Status, error) {
	return migration(ctx, at, func(ctx context.Context, conn *pgx.Conn) (migrations.Status, error) {
		status, err := migrations.Apply(ctx, conn)
		if err != nil {
			return status, err
		}
		_, err = authcore.CanonicalizeAddresses(ctx, conn)
		return status, err
	})
}

// MigrateSchema is migrate without what it does to rows, so that a command can
// mend what stops that.
func MigrateSchema(ctx context.Context, at Address) (migrations.Status, error) {
	return migration(ctx, at, migrations.Apply)
}

// SchemaStatus tells what is pending.
func SchemaStatus(ctx context.Context, at Address) (migrations.Status, error) {
	return migration(ctx, at, migrations.Check)
}

func migration(ctx context.Context, at Address, act func(context.Context, *pgx.Conn) (migrations.Status, error)) (migrations.Status, error) {
	var status migrations.Status
	err := WithConn(ctx, at, func(conn *pgx.Conn) (err error) {
		status, err = act(ctx, conn)
		return err
	})
	if err != nil {
		return status, explainMigration(err)
	}
	return status, nil
}

// WithConn runs f on one connection to PostgreSQL itself.
func WithConn(ctx context.Context, at Address, f func(*pgx.Conn) error) error {
	pool, err := pgxpool.ParseConfig(at.Listen)
	if err != nil {
		return errUnreadableURL
	}
	config := pool.ConnConfig
	writing(config)
	config.ConnectTimeout = connectTimeout
	config.DefaultQueryExecMode = at.QueryMode
	dbscope.Prepare(config, dbscope.Unlimited)
	return withConn(ctx, config, f)
}

func withConn(ctx context.Context, config *pgx.ConnConfig, f func(*pgx.Conn) error) error {
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

// OpenPool opens the connections that requests use, and reaches the database once.
func OpenPool(ctx context.Context, at Address) (*pgxpool.Pool, error) {
	config, err := poolConfig(at)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	writing(config.ConnConfig)
	low := dbscope.Setting{Name: creditcore.LowBalanceSetting}
	if at.LowBalance > 0 {
		low.Value = strconv.FormatInt(int64(at.LowBalance), 10)
	}
	dbscope.Prepare(config.ConnConfig, dbscope.RequestLimits, low)
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

// poolConfig is what all pools have in common: their size, their times and their
// name.
func poolConfig(at Address) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(at.Pool)
	if err != nil {
		return nil, errUnreadableURL
	}
	if !strings.Contains(at.Pool, "pool_max_conns") {
		config.MaxConns = int32(max(8, 4*runtime.NumCPU()))
		if at.Embedded {
			config.MaxConns = min(config.MaxConns, embeddedMaxConns)
		}
	}
	config.PingTimeout = connectTimeout
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.DefaultQueryExecMode = at.QueryMode
	config.ConnConfig.Tracer = tracing.SQL()
	params := config.ConnConfig.RuntimeParams
	if _, named := params["application_name"]; !named {
		params["application_name"] = "mana-edge"
	}
	// A pooler that nobody said stands there refuses parameters it does not track.
	if _, set := params["statement_timeout"]; !set && !at.Pooled {
		params["statement_timeout"] = dbscope.RequestLimits.Statement
	}
	return config, nil
}

// ClosePool closes a pool, but does not wait for a connection that is not
// given back.
func ClosePool(pool *pgxpool.Pool, log *slog.Logger) {
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
