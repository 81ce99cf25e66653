package gift

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Errors of making, finding and cancelling gifts. Test with [errors.Is], never
// by text. The ledger's own come as they are, above all
// [*creditcore.InsufficientError], [creditcore.ErrAccountNotFound],
// [creditcore.ErrKeyReused] and [creditcore.ErrUnavailable].
var (
	ErrNotFound = errors.New("Gift code not found")
	// ErrNotActive means that there is nothing left to cancel.
	ErrNotActive = errors.New("Gift code cannot be cancelled in current status")
	ErrExpiry    = errors.New("Expiration date must be in the future")
	ErrPortion   = errors.New("Each portion must have at least 1 credit")
	ErrRiddle    = errors.New("Riddle type requires both question and answer")
	// ErrInvalid covers what no caller that checks its input sends.
	ErrInvalid = creditcore.ErrInvalid
	// ErrBusy means that too many answers are being hashed; try again.
	ErrBusy = errors.New("too many answers at once")
	// ErrHeld means that the account makes no gifts for now, see [Deps].
	ErrHeld = errors.New("Gifting is paused for this account. Please contact support")

	// errCodeTaken asks for another code.
	errCodeTaken = errors.New("the code is taken")
	// errNoCode means that none was free in many tries.
	errNoCode = errors.New("no free gift code found")
)

// Refusal is why a gift was not handed out, in the words clients show. It is
// an error; it is final unless it says otherwise.
type Refusal string

// What a redeemer may be told.
const (
	Unknown        Refusal = "Gift code not found"
	Depleted       Refusal = "This gift code has been fully claimed"
	Expired        Refusal = "This gift code has expired"
	Cancelled      Refusal = "This gift code has been cancelled"
	Refunded       Refusal = "This gift code has been refunded"
	Own            Refusal = "You cannot redeem your own gift"
	OtherPerson    Refusal = "This gift code is for a specific person"
	Unverified     Refusal = "This gift code is for your email address. Please verify the address first"
	NoAnswer       Refusal = "Please provide the answer to the riddle"
	WrongAnswer    Refusal = "Incorrect answer"
	TooManyAnswers Refusal = "You have given too many incorrect answers for this gift"
	GuessedTooMuch Refusal = "Too many incorrect answers were given for this gift. Please try again later"
	AlreadyClaimed Refusal = "You have already claimed this gift"
)

func (r Refusal) Error() string { return string(r) }

// dbError turns what PostgreSQL and the way to it say into sentinels.
func dbError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "gift_codes_creator_id_fkey", "gift_redemptions_redeemer_user_id_fkey":
			return creditcore.ErrAccountNotFound
		case "gift_codes_creator_id_idempotency_key_key", "gift_redemptions_redeemer_user_id_idempotency_key_key":
			return creditcore.ErrKeyReused
		case "gift_redemptions_once_key":
			return AlreadyClaimed
		}
	}
	if dbscope.IsUnavailable(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}
