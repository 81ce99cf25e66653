package abuse

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

var (
	// ErrHeld means that an operator holds the gifting of the account already.
	ErrHeld = errors.New("Gifting is held already")
	// ErrNotHeld means that there is no hold to release.
	ErrNotHeld = errors.New("Gifting is not held")
)

// dbError turns what PostgreSQL and the way to it say into sentinels.
func dbError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "abuse_scores_user_id_fkey" {
		return creditcore.ErrAccountNotFound
	}
	if dbscope.IsUnavailable(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}
