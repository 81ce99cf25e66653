package outbox

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

// claimed is a message that this Box has leased, its body still sealed.
type claimed struct {
	ID        string
	Channel   string
	Kind      string
	UserID    string
	Body      []byte
	Attempts  int
	CreatedAt time.Time
}

// Only the partial index of what waits is read, and its due part alone. The
// lease stands in due_at too: what an edge that died has leased is due when the
// lease ends. Of a queue the first that waits is taken alone.
const claim = `
	WITH due AS MATERIALIZED (
	  SELECT d.id
	  FROM mana.outbox AS d
	  WHERE d.channel = $1 AND d.due_at <= now() AND d.sent_at IS NULL AND d.dead_at IS NULL
	    AND (d.queue IS NULL OR NOT EXISTS (
	      SELECT
	      FROM mana.outbox AS p
	      WHERE p.channel = d.channel AND p.queue = d.queue AND p.position < d.position AND p.sent_at IS NULL AND p.dead_at IS NULL))
	  ORDER BY d.due_at
	  LIMIT $2
	  FOR UPDATE SKIP LOCKED)
	UPDATE mana.outbox AS o
	SET attempts = o.attempts + 1,
	    due_at = now() + make_interval(secs => $3),
	    leased_until = now() + make_interval(secs => $3)
	FROM due
	WHERE o.id = due.id
	RETURNING o.id, o.channel, o.kind, coalesce(o.user_id, '') AS user_id, o.body, o.attempts, o.created_at`

// claim leases up to n messages of a channel that are due.
func (b *Box) claim(ctx context.Context, channel string, n int) ([]claimed, error) {
	return dbscope.List[claimed](ctx, b.cfg.DB, dbscope.System(), claim, channel, n, b.lease.Seconds())
}

// What was delivered is sent, whoever has the lease by now. The next of its queue may
// have waited with it.
const markSent = `
	WITH sent AS (
	  UPDATE mana.outbox
	  SET sent_at = now(), body = '', leased_until = NULL, last_error = NULL, dead_at = NULL
	  WHERE id = $1 AND sent_at IS NULL
	  RETURNING channel, queue, position)
	UPDATE mana.outbox AS o
	SET due_at = now()
	FROM sent AS s
	WHERE o.id = (
	    SELECT n.id
	    FROM mana.outbox AS n
	    WHERE n.channel = s.channel AND n.queue = s.queue AND n.position > s.position AND n.sent_at IS NULL AND n.dead_at IS NULL
	    ORDER BY n.position
	    LIMIT 1)
	  AND o.due_at > now() AND o.leased_until IS NULL`

// A failure counts for the try that is named, unless a later one has begun. The
// last try is at the end of the time for it. Those behind it in its queue wait with
// it, so that nobody looks at them meanwhile.
const markFailed = `
	WITH failed AS (
	  UPDATE mana.outbox
	  SET last_error = $3,
	      leased_until = NULL,
	      dead_at = CASE WHEN $4 OR now() >= give_up_at THEN now() END,
	      due_at = least(now() + make_interval(secs => $5 * (0.9 + 0.2 * random())), greatest(give_up_at, now()))
	  WHERE id = $1 AND attempts = $2 AND sent_at IS NULL AND dead_at IS NULL
	  RETURNING channel, queue, position, dead_at IS NOT NULL AS dead, due_at),
	behind AS (
	  UPDATE mana.outbox AS o
	  SET due_at = f.due_at
	  FROM failed AS f
	  WHERE NOT f.dead AND o.channel = f.channel AND o.queue = f.queue AND o.position > f.position AND o.due_at < f.due_at
	    AND o.sent_at IS NULL AND o.dead_at IS NULL)
	SELECT dead, due_at FROM failed`

// A try that was cut off does not count.
const markCut = `
	UPDATE mana.outbox
	SET attempts = attempts - 1, due_at = now(), leased_until = NULL
	WHERE id = $1 AND attempts = $2 AND sent_at IS NULL AND dead_at IS NULL`

// What is in hand still is looked at again in a second.
const markInHand = `
	UPDATE mana.outbox
	SET attempts = attempts - 1, due_at = now() + interval '1 second', leased_until = NULL
	WHERE id = $1 AND attempts = $2 AND sent_at IS NULL AND dead_at IS NULL`

// failure is what became of a message whose try failed.
type failure struct {
	Dead  bool
	DueAt time.Time
}

// pause is how long to wait after the try of a number failed.
func (b *Box) pause(channel string, attempts int) time.Duration {
	pauses := b.cfg.Pauses[familyOf(channel)]
	if len(pauses) == 0 {
		pauses = DefaultPauses()
	}
	return pauses[min(max(attempts, 1), len(pauses))-1]
}
