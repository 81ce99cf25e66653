package passkey

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// takeTx notes that the challenge of a state was answered. It fails with
// [ErrUsed], after the transaction of another answer has ended.
func takeTx(ctx context.Context, tx pgx.Tx, s state) error {
	tag, err := tx.Exec(ctx,
		`INSERT INTO auth.passkey_challenges (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`,
		s.digest(), s.expires)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrUsed
	}
	return err
}

// Prune drops the challenges that nobody can answer any more, and returns how
// many there were.
func Prune(ctx context.Context, db dbscope.DB) (int64, error) {
	return db.Prune(ctx, "prune auth.passkey_challenges", pruneChallenges, challengesKept.Seconds())
}

const pruneChallenges = `
	DELETE FROM auth.passkey_challenges
	WHERE digest IN (
	  SELECT c.digest
	  FROM auth.passkey_challenges AS c
	  WHERE c.expires_at < now() - make_interval(secs => $1)
	  ORDER BY c.expires_at
	  LIMIT $2)`

// challengesKept is how long a challenge outlives its end: the clocks of the
// edges decide whether a state is still good, that of PostgreSQL when its
// challenge goes.
const challengesKept = time.Hour
