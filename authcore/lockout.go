package authcore

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// The lockout slows down guessing of what one account signs in with: from so
// many wrong tries in 15 minutes on, ten of the password, the account answers
// [LockedError], for one minute, then two, up to an hour. Counting is by account and, for a device that has
// signed in to it before, by that device: a stranger's tries do not lock the
// owner out. The counters are rows of auth.lockouts, by PostgreSQL's clock, so
// that neither more edges nor restarts give more tries.

// passwordTries is how many wrong passwords lock an account.
const passwordTries = 10

// lockoutSubject names a counter without the address in clear.
func lockoutSubject(account, knownDevice string) string {
	d := digestOf("lockout\x00" + account + "\x00" + knownDevice)
	return hex.EncodeToString(d[:])
}

// lockedSeconds is how long the subject that the expression names stays locked;
// NULL where it is not.
func lockedSeconds(subject string) string {
	return `(SELECT extract(epoch FROM l.locked_until - now())::float8
		FROM auth.lockouts AS l WHERE l.subject = ` + subject + ` AND l.locked_until > now())`
}

// notLocked is a condition on the subject that the expression names.
func notLocked(subject string) string {
	return `NOT EXISTS (SELECT FROM auth.lockouts AS l WHERE l.subject = ` + subject + ` AND l.locked_until > now())`
}

// lockedFor is nil for no time.
func lockedFor(seconds float64) error {
	if seconds <= 0 {
		return nil
	}
	return &LockedError{RetryAfter: max(time.Second, time.Duration(seconds*float64(time.Second)))}
}

// locked fails with [LockedError] while the subject is locked.
func (s *Service) locked(ctx context.Context, subject string) error {
	r, err := dbscope.One[struct{ Seconds float64 }](ctx, s.db, system(),
		`SELECT coalesce(`+lockedSeconds("$1")+`, 0) AS seconds`, subject)
	if err != nil {
		return err
	}
	return lockedFor(r.Seconds)
}

// unlock forgets the wrong tries after a right one, but while the subject is
// locked: tries that were under way when it got locked tell nothing.
func (s *Service) unlock(ctx context.Context, subject string) error {
	n, err := s.db.Exec(ctx, system(),
		`DELETE FROM auth.lockouts WHERE subject = $1 AND (locked_until IS NULL OR locked_until <= now())`, subject)
	if err != nil || n > 0 {
		return err
	}
	return s.locked(ctx, subject)
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

// countedTry is what a wrong try came to: LockedNow where it locked the subject,
// for the Locks-th time within a day.
type countedTry struct {
	Tries     int
	LockedNow bool
	Locks     int
}

// countTryTx counts a wrong try as [countTry] says.
func countTryTx(ctx context.Context, tx pgx.Tx, client principal.Client, subject, userID string, limit int, event string) (countedTry, error) {
	return dbscope.TxRow[countedTry](ctx, tx, countTry, subject, userID, client.Network(), client.Agent(), limit, event)
}

// tellLockedTx mails whoever has proven the address of an account that it was
// locked, at the first time within a day: strangers must not fill a mailbox.
func (s *Service) tellLockedTx(ctx context.Context, tx pgx.Tx, client principal.Client, userID string, n countedTry) error {
	if !n.LockedNow || n.Locks > 1 || userID == "" {
		return nil
	}
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+userColumns+` FROM auth.users AS u WHERE u.id = $1 AND u.email_verified AND `+usable, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.mailer.PutTx(ctx, tx, Notice{Kind: NoticeAccountLocked, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.now()})
}

// rejected counts and reports a wrong password for an account, which is named
// as it was given, and returns [ErrInvalidCredentials]; an err of verifying
// comes back as it is.
func (s *Service) rejected(ctx context.Context, client principal.Client, userID, account, subject string, err error) error {
	if err != nil {
		return err
	}
	var n countedTry
	err = s.mail(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if n, err = countTryTx(ctx, tx, client, subject, userID, passwordTries, "login_failed"); err != nil {
			return err
		}
		return s.tellLockedTx(ctx, tx, client, userID, n)
	})
	if err != nil {
		s.log.Error("a wrong password was not counted", "error", err)
		return err
	}
	s.observeSignIn("invalid")
	s.log.Warn("sign-in failed", "account", account, "user", userID, "address", client.Network(), "tries", n.Tries, "locked", n.LockedNow)
	return ErrInvalidCredentials
}

const pruneLockouts = `
	DELETE FROM auth.lockouts
	WHERE subject IN (
	  SELECT l.subject
	  FROM auth.lockouts AS l
	  WHERE l.last_try_at < now() - make_interval(secs => $1)
	  LIMIT $2)`

// lockoutsKept is how long a counter outlives its last try: longer than the
// day in which the next lock is twice as long, and the lock itself.
const lockoutsKept = 26 * time.Hour
