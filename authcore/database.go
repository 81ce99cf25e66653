package authcore

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

func system() dbscope.Scope { return dbscope.System() }

func scopeOf(c principal.Caller) dbscope.Scope { return dbscope.User(c.UserID, string(c.Role)) }

// dbError turns what PostgreSQL and the way to it say into sentinels: the
// database being away becomes [ErrUnavailable], a taken e-mail address
// [ErrEmailTaken]. Everything else passes through.
func dbError(err error) error {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "23505" && pgErr.ConstraintName == "users_email_key" {
		return ErrEmailTaken
	}
	if dbscope.IsUnavailable(err) {
		return errors.Join(ErrUnavailable, err)
	}
	return err
}
