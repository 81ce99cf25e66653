package doctor

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
)

// replicaLag is how far a standby may be behind before it is worth a word.
const replicaLag = time.Minute

// replica examines the standby that answers for history and usage.
func (d *doctor) replica(s config.Settings) {
	if !s.Replica.IsSet() {
		return
	}
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	var standby bool
	var behind time.Duration
	err := services.WithReplica(ctx, s.Replica, func(conn *pgx.Conn) error {
		// A standby that has replayed all it got is not behind, however long nothing came.
		return conn.QueryRow(ctx, `
			SELECT pg_is_in_recovery(),
			       CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN interval '0'
			            ELSE coalesce(clock_timestamp() - pg_last_xact_replay_timestamp(), interval '0') END`).Scan(&standby, &behind)
	})
	switch {
	case err != nil:
		d.warn("replica", "does not answer (%v): history, usage and exports are asked of the database meanwhile", err)
	case !standby:
		d.warn("replica", "is a server that is written to, not a standby; name a standby, or take replica out of the config")
	case behind > replicaLag:
		d.warn("replica", "is %s behind: users miss what was charged since in their history", behind.Round(time.Second))
	default:
		d.ok("replica", "follows, %s behind", behind.Round(time.Millisecond))
	}
}
