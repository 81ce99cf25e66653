package outbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// ErrNotFound reports an id of which there is no dead message.
var ErrNotFound = errors.New("no such dead message")

// own selects messages of channels that are not of a family: what those of others are
// told is theirs to follow.
const own = `strpos(channel, ':') = 0`

// Counts tells how many messages wait, being delivered included, how many are dead, and
// how long ago the oldest that waits was written, 0 where none does: of channels that are
// not of a family.
func (b *Box) Counts(ctx context.Context) (waiting, dead int, oldest time.Duration, err error) {
	counts, err := dbscope.One[struct {
		Waiting int
		Dead    int
		Seconds float64
	}](ctx, b.cfg.DB, dbscope.System(), `
		SELECT count(*) AS waiting,
		       (SELECT count(*) FROM mana.outbox WHERE dead_at IS NOT NULL AND `+own+`) AS dead,
		       coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds
		FROM mana.outbox
		WHERE sent_at IS NULL AND dead_at IS NULL AND `+own)
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

// Dead lists dead messages of channels that are not of a family, those that died last
// first. limit is 1 to 10 000, 200 where zero.
func (b *Box) Dead(ctx context.Context, limit int) ([]Letter, error) {
	if limit <= 0 || limit > 10_000 {
		limit = 200
	}
	return dbscope.List[Letter](ctx, b.cfg.DB, dbscope.System(), `
		SELECT id, channel, kind, coalesce(user_id, '') AS user_id, attempts, created_at, dead_at, coalesce(last_error, '') AS last_error
		FROM mana.outbox
		WHERE dead_at IS NOT NULL AND `+own+`
		ORDER BY dead_at DESC, id
		LIMIT $1`, limit)
}

// Waiting is a message that is to be delivered, without its body.
type Waiting struct {
	ID        string
	Channel   string
	Kind      string
	UserID    string // empty where nobody is concerned
	Attempts  int
	CreatedAt time.Time
	DueAt     time.Time // when it is tried next
	LastError string
}

// Waiting lists the messages that are to be delivered of every channel but those of
// families, those that are due first, at most limit of each.
func (b *Box) Waiting(ctx context.Context, limit int) ([]Waiting, error) {
	var all []Waiting
	for _, channel := range slices.Sorted(maps.Keys(b.cfg.Channels)) {
		list, err := dbscope.List[Waiting](ctx, b.cfg.DB, dbscope.System(), `
			SELECT id, channel, kind, coalesce(user_id, '') AS user_id, attempts, created_at, due_at, coalesce(last_error, '') AS last_error
			FROM mana.outbox
			WHERE sent_at IS NULL AND dead_at IS NULL AND channel = $1
			ORDER BY due_at
			LIMIT $2`, channel, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// Retry has a dead message tried again at once, for as long as a new one.
// Errors: [ErrNotFound].
func (b *Box) Retry(ctx context.Context, id string) error {
	err := b.cfg.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := b.RetryTx(ctx, tx, id)
		return err
	})
	if err == nil {
		b.Wake()
	}
	return err
}

// RetryTx is Retry in the caller's transaction, in the scope of the system; it
// returns whom the message concerns, empty for nobody. Call [Box.Wake] after the
// commit.
func (b *Box) RetryTx(ctx context.Context, tx pgx.Tx, id string) (userID string, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE mana.outbox
		SET dead_at = NULL, attempts = 0, due_at = now(), give_up_at = now() + make_interval(secs => $2)
		WHERE id = $1 AND dead_at IS NOT NULL
		RETURNING coalesce(user_id, '')`, id, b.cfg.GiveUp.Seconds()).Scan(&userID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return userID, err
}
