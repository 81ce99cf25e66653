package outbox

import (
	"context"
	"errors"
	"time"

	"mana.how/edge/internal/dbscope"
)

// ErrNotFound reports an id of which there is no dead message.
var ErrNotFound = errors.New("no such dead message")

// Counts tells how many messages wait, being delivered included, how many are
// dead, and how long ago the oldest that waits was written; 0 where none does.
func (b *Box) Counts(ctx context.Context) (waiting, dead int, oldest time.Duration, err error) {
	counts, err := dbscope.One[struct {
		Waiting int
		Dead    int
		Seconds float64
	}](ctx, b.cfg.DB, dbscope.System(), `
		SELECT count(*) AS waiting,
		       (SELECT count(*) FROM mana.outbox WHERE dead_at IS NOT NULL) AS dead,
		       coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds
		FROM mana.outbox
		WHERE sent_at IS NULL AND dead_at IS NULL`)
	return counts.Waiting, counts.Dead, time.Duration(counts.Seconds * float64(time.Second)), err
}

// Letter is a dead message, without its body.
type Letter struct {
	ID        string
	Channel   string
	Kind      string
	UserID    string // empty where nobody is concerned
	Attempts  int
	CreatedAt time.Time
	DeadAt    time.Time
	LastError string
}

// Dead lists dead messages, those that died last first. limit is 1 to 10 000,
// 200 where zero.
func (b *Box) Dead(ctx context.Context, limit int) ([]Letter, error) {
	if limit <= 0 || limit > 10_000 {
		limit = 200
	}
	return dbscope.List[Letter](ctx, b.cfg.DB, dbscope.System(), `
		SELECT id, channel, kind, coalesce(user_id, '') AS user_id, attempts, created_at, dead_at, coalesce(last_error, '') AS last_error
		FROM mana.outbox
		WHERE dead_at IS NOT NULL
		ORDER BY dead_at DESC, id
		LIMIT $1`, limit)
}

// Retry has a dead message tried again at once, for as long as a new one.
// Errors: [ErrNotFound].
func (b *Box) Retry(ctx context.Context, id string) error {
	n, err := b.cfg.DB.Exec(ctx, dbscope.System(), `
		UPDATE mana.outbox
		SET dead_at = NULL, attempts = 0, due_at = now(), give_up_at = now() + make_interval(secs => $2)
		WHERE id = $1 AND dead_at IS NOT NULL`, id, b.cfg.GiveUp.Seconds())
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	b.Wake()
	return nil
}
