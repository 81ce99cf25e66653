package outbox

import (
	"context"
	"errors"
	"time"
)

const pruneSent = `
	DELETE FROM mana.outbox
	WHERE id IN (
	  SELECT o.id
	  FROM mana.outbox AS o
	  WHERE o.sent_at < now() - make_interval(secs => $1)
	  ORDER BY o.sent_at
	  LIMIT $2)`

const pruneDead = `
	DELETE FROM mana.outbox
	WHERE id IN (
	  SELECT o.id
	  FROM mana.outbox AS o
	  WHERE o.dead_at < now() - make_interval(secs => $1)
	  ORDER BY o.dead_at
	  LIMIT $2)`

// Prune removes what was sent, or died, longer ago than [Config.Retention], in
// small batches; it returns how many went. [Box.Run] does so once an hour.
func (b *Box) Prune(ctx context.Context) (int64, error) {
	sent, errSent := b.cfg.DB.Prune(ctx, "prune mana.outbox sent", pruneSent, b.cfg.Retention.Seconds())
	dead, errDead := b.cfg.DB.Prune(ctx, "prune mana.outbox dead", pruneDead, b.cfg.Retention.Seconds())
	return sent + dead, errors.Join(errSent, errDead)
}

func (b *Box) pruneHourly(ctx context.Context) {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	for {
		if _, err := b.Prune(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.Warn("old messages of the outbox were not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-hourly.C:
		}
	}
}
