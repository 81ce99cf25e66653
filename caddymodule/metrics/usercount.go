package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
)

const (
	userCountEvery = time.Minute
	userCountLimit = 10 * time.Second
)

// userCount is a census of the accounts that are not deleted. Days begin at
// midnight UTC, weeks on Monday.
type userCount struct {
	Total, Verified, Today, ThisWeek, ThisMonth int64
}

const countUsersSQL = `
SELECT count(*) AS total,
       count(*) FILTER (WHERE email_verified) AS verified,
       count(*) FILTER (WHERE created_at >= date_trunc('day', now(), 'UTC')) AS today,
       count(*) FILTER (WHERE created_at >= date_trunc('week', now(), 'UTC')) AS this_week,
       count(*) FILTER (WHERE created_at >= date_trunc('month', now(), 'UTC')) AS this_month
FROM auth.users
WHERE deleted_at IS NULL`

// CountUsers keeps the gauges of accounts up to date until ctx ends.
func (m *Set) CountUsers(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) {
	ticker := time.NewTicker(userCountEvery)
	defer ticker.Stop()
	for {
		if err := m.CountUsersOnce(ctx, pool); err != nil && ctx.Err() == nil {
			log.Warn("count users", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// CountUsersOnce is one round of counting the users.
func (m *Set) CountUsersOnce(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, userCountLimit)
	defer cancel()
	n, err := dbscope.Row[userCount](ctx, pool, dbscope.System(), countUsersSQL)
	if err != nil {
		return err
	}
	m.users.Set(float64(n.Total))
	m.verified.Set(float64(n.Verified))
	m.today.Set(float64(n.Today))
	m.thisWeek.Set(float64(n.ThisWeek))
	m.thisMonth.Set(float64(n.ThisMonth))
	return nil
}
