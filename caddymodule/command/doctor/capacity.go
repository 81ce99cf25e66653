package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"mana.how/edge/caddymodule/command/backup"
	"mana.how/edge/caddymodule/config"
)

// connectionsSQL counts what the server has open against what it may have. Who
// is no superuser sees that others are there, and no more of them.
const connectionsSQL = `
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int`

// connections examines how near the server is to refusing new ones.
func (d *doctor) connections(ctx context.Context, conn *pgx.Conn) {
	var used, most int
	if err := conn.QueryRow(ctx, connectionsSQL).Scan(&used, &most); err != nil {
		d.fail("connections", "%v", err)
		return
	}
	d.judgeConnections(used, most)
}

func (d *doctor) judgeConnections(used, most int) {
	if used*5 > most*4 {
		d.warn("connections", "%d of %d are in use: raise max_connections, or put PgBouncer in front", used, most)
		return
	}
	d.ok("connections", "%d of %d are in use", used, most)
}

// eviction examines what Redis does when its memory is full. Managed ones may
// keep that to themselves.
func (d *doctor) eviction(ctx context.Context, client redis.UniversalClient) {
	info, err := client.InfoMap(ctx, "memory").Result()
	if err != nil || info["Memory"] == nil {
		return
	}
	policy, most := info["Memory"]["maxmemory_policy"], info["Memory"]["maxmemory_human"]
	switch {
	case policy == "":
	case info["Memory"]["maxmemory"] == "0":
		d.ok("redis memory", "without a limit")
	case policy == "noeviction":
		d.warn("redis memory", "at %s Redis takes no more, and rate limits are counted per process then: set maxmemory-policy volatile-ttl", strings.TrimSpace(most))
	default:
		d.ok("redis memory", "%s, then %s", strings.TrimSpace(most), policy)
	}
}

// backupOld is how old the last backup of an embedded database may be.
const backupOld = 8 * 24 * time.Hour

// backups examines when the embedded database was backed up last. Of a server
// of the admin's own nothing is known here.
func (d *doctor) backups(place config.Database, now time.Time) {
	if !place.Embedded() {
		return
	}
	last, err := backup.Last(place.Dir)
	switch age := now.Sub(last); {
	case err != nil:
		d.warn("backup", "%v", err)
	case last.IsZero():
		d.warn("backup", "there was none: run `mana-edge mana backup` every night")
	case age > backupOld:
		d.warn("backup", "the last is %d days old", int(age.Hours()/24))
	default:
		d.ok("backup", "the last is of %s", last.Format(time.RFC3339))
	}
}

// keyOld is how old the newest signing key may be: they rotate after 90 days.
const keyOld = 100 * 24 * time.Hour

// keyAge examines whether signing keys rotate.
func (d *doctor) keyAge(newest, now time.Time) {
	days := int(now.Sub(newest).Hours() / 24)
	if now.Sub(newest) > keyOld {
		d.warn("key age", "the newest signing key is %d days old, and should have been replaced after 90: an edge that runs does so, and says in its log why not", days)
		return
	}
	d.ok("key age", "the newest signing key is %d days old", days)
}
