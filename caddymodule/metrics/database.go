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
	size   prometheus.Gauge
	keyAge *prometheus.GaugeVec
}

func newDatabaseMetrics(m *Set) databaseMetrics {
	return databaseMetrics{
		size: m.gauge("mana_database_size_bytes", "What the database takes on the disk of its server."),
		keyAge: Add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mana_signing_key_age_seconds", Help: "How long ago the newest signing key was made, by algorithm.",
		}, []string{"algorithm"})),
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
	m.size.Set(float64(bytes))
	for _, key := range ages {
		m.keyAge.WithLabelValues(key.Algorithm).Set(float64(key.Seconds))
	}
	return nil
}
