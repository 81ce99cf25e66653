package lockout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// Error refuses a sign-in to an account with too many wrong tries, until
// RetryAfter has passed.
type Error struct{ RetryAfter time.Duration }

func (e *Error) Error() string {
	return "Too many failed sign-ins: rate limit exceeded, try again later"
}

// Subject names a counter without the address in clear.
func Subject(account, knownDevice string) string {
	d := sha256.Sum256([]byte("lockout\x00" + account + "\x00" + knownDevice))
	return hex.EncodeToString(d[:sha256.Size/2])
}

// Seconds is how long the subject that the expression names stays locked;
// NULL where it is not.
func Seconds(subject string) string {
	return `(SELECT extract(epoch FROM l.locked_until - now())::float8
		FROM auth.lockouts AS l WHERE l.subject = ` + subject + ` AND l.locked_until > now())`
}

// NotLocked is a condition on the subject that the expression names.
func NotLocked(subject string) string {
	return `NOT EXISTS (SELECT FROM auth.lockouts AS l WHERE l.subject = ` + subject + ` AND l.locked_until > now())`
}

// For is nil for no time.
func For(seconds float64) error {
	if seconds <= 0 {
		return nil
	}
	return &Error{RetryAfter: max(time.Second, time.Duration(seconds*float64(time.Second)))}
}

// Check fails with [*Error] while the subject is locked.
func Check(ctx context.Context, db dbscope.DB, subject string) error {
	r, err := dbscope.One[struct{ Seconds float64 }](ctx, db, dbscope.System(),
		`SELECT coalesce(`+Seconds("$1")+`, 0) AS seconds`, subject)
	if err != nil {
		return err
	}
	return For(r.Seconds)
}

// Clear forgets the wrong tries after a right one, but while the subject is
// locked: tries that were under way when it got locked tell nothing.
func Clear(ctx context.Context, db dbscope.DB, subject string) error {
	n, err := db.Exec(ctx, dbscope.System(),
		`DELETE FROM auth.lockouts WHERE subject = $1 AND (locked_until IS NULL OR locked_until <= now())`, subject)
	if err != nil || n > 0 {
		return err
	}
	return Check(ctx, db, subject)
}

// countTry counts a wrong try and records it, in one statement. The tries of 15
// minutes count, and those before a lock until 15 minutes after it; who is
// locked again within a day of the last lock is locked for twice as long. $1 is
// the subject, $2 the user, $3 and $4 who tries, $5 how many wrong tries lock,
// $6 the event of a wrong one, empty where another counter has it.
const countTry = `
	WITH counted AS (
	  INSERT INTO auth.lockouts AS l (subject) VALUES ($1)
	  ON CONFLICT (subject) DO UPDATE
	  SET (tries, since, last_try_at, locks, locked_at, locked_until) = (
	    SELECT n.tries, CASE WHEN n.anew THEN now() ELSE l.since END, now(),
	      CASE WHEN n.locks THEN n.nth ELSE l.locks END,
	      CASE WHEN n.locks THEN now() ELSE l.locked_at END,
	      CASE WHEN n.locks THEN now() + least(interval '1 hour', interval '1 minute' * power(2, least(n.nth, 10) - 1)) ELSE l.locked_until END
	    FROM (
	      SELECT w.anew, w.nth, w.tries, w.tries >= $5::int AND coalesce(l.locked_until <= now(), true) AS locks
	      FROM (
	        SELECT v.anew, CASE WHEN v.anew THEN 1 ELSE l.tries + 1 END AS tries,
	          CASE WHEN l.locked_until > now() - interval '1 day' THEN l.locks + 1 ELSE 1 END AS nth
	        FROM (SELECT l.since <= now() - interval '15 minutes'
	          AND coalesce(l.locked_until <= now() - interval '15 minutes', true) AS anew) AS v) AS w) AS n)
	  RETURNING l.tries, coalesce(l.locked_at = now(), false) AS locked_now, l.locks),
	recorded AS (
	  INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent)
	  SELECT NULLIF($2, ''), e.type, NULLIF($3, ''), NULLIF($4, '')
	  FROM counted, LATERAL (VALUES ($6::text, $6 <> ''), ('account_locked', counted.locked_now)) AS e (type, happened)
	  WHERE e.happened)
	SELECT tries, locked_now, locks::int AS locks FROM counted`

// Try is what a wrong try came to: LockedNow where it locked the subject,
// for the Locks-th time within a day.
type Try struct {
	Tries     int
	LockedNow bool
	Locks     int
}

// CountTx counts a wrong try as [countTry] says.
func CountTx(ctx context.Context, tx pgx.Tx, client principal.Client, subject, userID string, limit int, event string) (Try, error) {
	return dbscope.TxRow[Try](ctx, tx, countTry, subject, userID, client.Network(), client.Agent(), limit, event)
}

const prune = `
	DELETE FROM auth.lockouts
	WHERE subject IN (
	  SELECT l.subject
	  FROM auth.lockouts AS l
	  WHERE l.last_try_at < now() - make_interval(secs => $1)
	  LIMIT $2)`

// kept is how long a counter outlives its last try: longer than the
// day in which the next lock is twice as long, and the lock itself.
const kept = 26 * time.Hour

// Prune drops counters whose last try is long ago.
func Prune(ctx context.Context, db dbscope.DB) error {
	_, err := db.Prune(ctx, "prune auth.lockouts", prune, kept.Seconds())
	return err
}
