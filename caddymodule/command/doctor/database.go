package doctor

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/migrations"
)

const (
	// clockTolerance is how far this clock may be from the database's: tokens
	// and revocations compare times of both.
	clockTolerance = 2 * time.Second
	examineLimit   = 30 * time.Second
)

// database examines the database from the address inwards.
func (d *doctor) database(place config.Database, s config.Settings, settled bool) {
	ctx, cancel := context.WithTimeout(d.Ctx, examineLimit)
	defer cancel()
	c, err := invoke.Connect(ctx, place, d.Log())
	if place.Embedded() {
		d.serverLog(place.Dir, err != nil)
	}
	if err != nil {
		d.fail("database", "%v", err)
		return
	}
	defer c.Release()
	if c.Started {
		if err := c.Current(ctx); err != nil {
			d.fail("database", "%v", err)
			return
		}
	}
	began := time.Now()
	current := false
	err = services.WithConn(ctx, c.At, func(conn *pgx.Conn) error {
		d.ok("database", "reached in %s", time.Since(began).Round(time.Microsecond))
		d.direct(ctx, conn, c.At)
		d.clock(ctx, conn)
		d.connections(ctx, conn)
		d.roles(ctx, conn)
		if current = d.schema(ctx, conn); current {
			d.rowSecurity(ctx, conn)
			d.collation(ctx, conn)
		}
		return nil
	})
	if err != nil {
		d.fail("database", "%v", err)
		return
	}
	if c.At.Pooled {
		d.pooler(ctx, c.At)
	}
	if settled && current {
		d.keys(ctx, c, s)
	}
}

// behindPooler tells a pooler by the process id it makes up for its clients.
func behindPooler(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid != conn.PgConn().PID(), err
}

// direct examines the connection that LISTEN needs: whether it hears what is
// said over the one that requests use.
func (d *doctor) direct(ctx context.Context, conn *pgx.Conn, at services.Address) {
	pooled, err := behindPooler(ctx, conn)
	switch {
	case err != nil:
		d.fail("listen", "%v", err)
		return
	case pooled && at.Pooled:
		d.fail("listen", "direct leads through a pooler; let it lead to PostgreSQL itself")
		return
	case pooled:
		d.fail("listen", "the database URL leads through a pooler such as PgBouncer; add `direct <url of PostgreSQL itself>` to database")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, networkWait)
	defer cancel()
	if _, err := conn.Exec(ctx, `LISTEN mana_doctor`); err != nil {
		d.fail("listen", "%v", err)
		return
	}
	err = services.WithConn(ctx, at.ThroughPool(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `NOTIFY mana_doctor`)
		return err
	})
	if err != nil {
		d.fail("listen", "%v", err)
		return
	}
	switch _, err = conn.WaitForNotification(ctx); {
	case err == nil:
		_, _ = conn.Exec(ctx, `UNLISTEN *`)
		d.ok("listen", "notifications arrive")
	case at.Pooled:
		d.fail("listen", "a notification did not arrive: direct must lead to the same database as the database URL")
	default:
		d.fail("listen", "a notification did not arrive: %v", err)
	}
}

// pooler examines the connection that requests use.
func (d *doctor) pooler(ctx context.Context, at services.Address) {
	err := services.WithConn(ctx, at.ThroughPool(), func(conn *pgx.Conn) error {
		pooled, err := behindPooler(ctx, conn)
		if err != nil {
			return err
		}
		old, err := d.oldSettings(ctx, conn, at)
		if err != nil {
			return err
		}
		if pooled && len(old) > 0 {
			d.warn("pooler", "it still serves connections from before a change of %s at the role or the database; "+
				"say RECONNECT at PgBouncer's admin console", strings.Join(old, ", "))
		}
		switch {
		case !pooled:
			d.warn("pooler", "the database URL leads to PostgreSQL itself; direct is not needed")
		case at.QueryMode == pgx.QueryExecModeCacheStatement:
			d.warn("pooler", "query_mode cache_statement needs PgBouncer 1.21 or later with max_prepared_statements; cache_describe works with all")
		default:
			d.ok("pooler", "query_mode %s", strings.ReplaceAll(at.QueryMode.String(), " ", "_"))
		}
		return nil
	})
	if err != nil {
		d.fail("pooler", "%v", err)
	}
}

// oldSettingsSQL compares what the session has of the role and the database
// with what the catalog, which is never old, says of them.
const oldSettingsSQL = `
WITH wanted AS (
    SELECT DISTINCT lower(split_part(unnest(setconfig), '=', 1)) AS name
    FROM pg_db_role_setting
    WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
)
SELECT s.name
FROM pg_settings s
LEFT JOIN wanted w ON w.name = lower(s.name)
WHERE (w.name IS NULL) = (s.source IN ('database', 'user', 'database user'))
  AND s.source NOT IN ('client', 'session')
  AND s.name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone')
ORDER BY s.name`

const roleSettingsSQL = `
SELECT name, setting
FROM pg_settings
WHERE source IN ('database', 'user', 'database user')
  AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone')`

// oldSettings are those of the role and the database that the pooler's
// connection has otherwise than a new one to PostgreSQL itself.
func (d *doctor) oldSettings(ctx context.Context, pooled *pgx.Conn, at services.Address) ([]string, error) {
	rows, _ := pooled.Query(ctx, oldSettingsSQL)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	before, err := roleSettings(ctx, pooled)
	if err != nil {
		return nil, err
	}
	err = services.WithConn(ctx, at, func(conn *pgx.Conn) error {
		now, err := roleSettings(ctx, conn)
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if setting, set := before[name]; set && setting != now[name] {
				names = append(names, name)
			}
		}
		return err
	})
	return names, err
}

func roleSettings(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, _ := conn.Query(ctx, roleSettingsSQL)
	settings := make(map[string]string)
	var name, setting string
	_, err := pgx.ForEachRow(rows, []any{&name, &setting}, func() error {
		settings[name] = setting
		return nil
	})
	return settings, err
}

// serverLog shows the end of the embedded server's log where that may say why
// it does not run, or did not.
func (d *doctor) serverLog(dir string, away bool) {
	tail := localpg.LogTail(dir)
	if away && tail != "" || strings.Contains(tail, "PANIC") || strings.Contains(tail, "No space left") {
		d.warn("postgres.log", "%s ends in: %s", filepath.Join(dir, "postgres.log"), tail)
	}
}

func (d *doctor) clock(ctx context.Context, conn *pgx.Conn) {
	var there time.Time
	began := time.Now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		d.fail("clock", "%v", err)
		return
	}
	took := time.Since(began)
	skew := there.Sub(began.Add(took / 2)).Abs()
	if skew > clockTolerance+took {
		d.fail("clock", "differs from the database's by %s; let both follow a time server", skew.Round(time.Millisecond))
		return
	}
	d.ok("clock", "within %s of the database's", (skew + took).Round(time.Millisecond))
}

func (d *doctor) schema(ctx context.Context, conn *pgx.Conn) bool {
	status, err := migrations.Check(ctx, conn)
	switch {
	case errors.Is(err, migrations.ErrNewerSchema):
		d.fail("schema", "%v; use the binary that migrated it, or a newer one", err)
	case err != nil:
		d.fail("schema", "%v", err)
	case !status.Complete():
		d.fail("schema", "at version %d of %d; run `mana-edge mana migrate`", status.Current, status.Latest)
	default:
		d.ok("schema", "version %d", status.Current)
	}
	return err == nil && status.Complete()
}

// keys proves that the encryption key is the one the signing keys were sealed
// with.
func (d *doctor) keys(ctx context.Context, c invoke.Connection, s config.Settings) {
	err := c.WithCores(ctx, s, false, d.Log(), func(all services.Cores) error {
		keys, err := all.Auth.Keys(ctx)
		if err != nil {
			return err
		}
		live, older := 0, 0
		var newest time.Time
		for _, k := range keys {
			if k.State != token.KeyGone && k.State != token.KeyRevoked {
				live++
				if k.CreatedAt.After(newest) {
					newest = k.CreatedAt
				}
			}
			if k.SealedByOlder {
				older++
			}
		}
		switch {
		case older > 0:
			d.warn("keys", "%d of %d signing keys are sealed with an older encryption_key; an edge that starts with this config seals them with the first", older, live)
		case len(s.OlderKeys) > 0:
			d.ok("keys", "%d signing keys, sealed with the first encryption_key; take the older ones out when refresh_token_ttl has passed since the change", live)
		default:
			d.ok("keys", "%d signing keys, all readable", live)
		}
		if live > 0 {
			d.keyAge(newest, time.Now())
		}
		return nil
	})
	if err != nil {
		d.fail("keys", "%v", err)
	}
}
