package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/internal/dbscope"
)

// databaseMetrics are what the database is asked about itself now and then.
type databaseMetrics struct {
	size    prometheus.Gauge
	keyAge  *prometheus.GaugeVec
	rootAge *prometheus.GaugeVec // without labels, and absent until there is a root
}

func newDatabaseMetrics(m *Set) databaseMetrics {
	return databaseMetrics{
		size: m.gauge("mana_database_size_bytes", "What the database takes on the disk of its server."),
		keyAge: Add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mana_signing_key_age_seconds", Help: "How long ago the newest signing key was made, by algorithm.",
		}, []string{"algorithm"})),
		rootAge: Add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mana_credit_root_age_seconds", Help: "How long ago the last day ended that the ledger has a signed root of.",
		}, nil)),
	}
}

const (
	databaseLookEvery = time.Minute
	databaseLookLimit = 10 * time.Second
)

// databaseSizeSQL is asked by the login role itself: the roles that see rows may not be
// allowed to connect, which it asks for.
const databaseSizeSQL = `SELECT pg_database_size(current_database())`

const keyAgesSQL = `
SELECT algorithm, extract(epoch FROM now() - max(created_at))::bigint AS seconds
FROM auth.jwks
WHERE revoked_at IS NULL AND (gone_at IS NULL OR gone_at > now())
GROUP BY algorithm`

// rootAgeSQL has no row until there is a root.
const rootAgeSQL = `
SELECT extract(epoch FROM now() - (r.day + 1)::timestamp AT TIME ZONE 'UTC')::bigint AS seconds
FROM credits.roots AS r
ORDER BY r.day DESC
LIMIT 1`

type keyAge struct {
	Algorithm string
	Seconds   int64
}

// LookAtDatabase keeps the gauges of the database up to date until ctx ends.
func (m *Set) LookAtDatabase(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) {
	ticker := time.NewTicker(databaseLookEvery)
	defer ticker.Stop()
	for {
		if err := m.LookAtDatabaseOnce(ctx, pool); err != nil && ctx.Err() == nil {
			log.Warn("look at the database", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// LookAtDatabaseOnce is one round of LookAtDatabase.
func (m *Set) LookAtDatabaseOnce(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, databaseLookLimit)
	defer cancel()
	var bytes int64
	if err := pool.QueryRow(ctx, databaseSizeSQL).Scan(&bytes); err != nil {
		return err
	}
	ages, err := dbscope.Rows[keyAge](ctx, pool, dbscope.System(), keyAgesSQL)
	if err != nil {
		return err
	}
	roots, err := dbscope.Rows[struct{ Seconds int64 }](ctx, pool, dbscope.System(), rootAgeSQL)
	if err != nil {
		return err
	}
	for _, root := range roots {
		m.rootAge.WithLabelValues().Set(float64(root.Seconds))
	}
	m.size.Set(float64(bytes))
	for _, key := range ages {
		m.keyAge.WithLabelValues(key.Algorithm).Set(float64(key.Seconds))
	}
	return nil
}
