package account

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

// Errors of accounts. Their texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	// ErrNotFound means that there is no such account, or that it may not act.
	ErrNotFound = errors.New("User not found")
	// ErrInvalidCredentials means that the account, or what was shown of it, is not
	// what it must be.
	ErrInvalidCredentials = errors.New("Invalid email or password")
	ErrEmailTaken         = errors.New("User with this email already exists")
	// ErrEmailNotVerified means that the address is not proven where it must be.
	ErrEmailNotVerified = errors.New("Email not verified")
	ErrInvalidInput     = errors.New("Invalid input")
	// ErrUnavailable means that PostgreSQL cannot be reached.
	ErrUnavailable = errors.New("database connection unavailable")
)

// DBError turns what PostgreSQL and the way to it say into sentinels: the
// database being away becomes [ErrUnavailable], a taken e-mail address
// [ErrEmailTaken]. Everything else passes through.
func DBError(err error) error {
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

// NotFound turns the absence of a row into the sentinel that names it.
func NotFound(err, sentinel error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return sentinel
	}
	return err
}
