package guest

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Limit names what of a guest's has less than is asked for.
type Limit string

// The limits.
const (
	LimitDevice  Limit = "device"
	LimitAddress Limit = "address"
	LimitAll     Limit = "total"
)

// SpentError means that a guest has less left than is asked for. It is a
// [*creditcore.InsufficientError] too.
type SpentError struct {
	Required, Available creditcore.Amount
	Limit               Limit
	Until               time.Time // when the next day begins
}

func (e *SpentError) Error() string { return "the free credits of the guest are spent" }

// Unwrap is what the ledger says of an account that has too little.
func (e *SpentError) Unwrap() error {
	return &creditcore.InsufficientError{Required: e.Required, Available: e.Available}
}

// errPersonTaken means that the person of a promise was given another one meanwhile.
var errPersonTaken = errors.New("the person was given the credits of another wallet")

// dbError turns what PostgreSQL and the way to it say into sentinels.
func dbError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "guest_promises_person_key" {
		return errPersonTaken
	}
	if dbscope.IsUnavailable(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}
