package coupon

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/dbscope"
)

// Errors of making and ending coupons. Test with [errors.Is], never by text. The
// ledger's own come as they are.
var (
	ErrNotFound = errors.New("Coupon not found")
	// ErrEnded means that there is nothing left to end.
	ErrEnded = errors.New("The coupon has ended already")
	// ErrCodeTaken means that another coupon has the code, also one that ended.
	ErrCodeTaken = errors.New("Another coupon has this code")
	// ErrNoSecret means that the encryption key is missing, or is not the one
	// that the secret of coupons was sealed with.
	ErrNoSecret = sealed.ErrNone
)

// TermError refuses the terms of a coupon. Field is one of [Terms], or code.
type TermError struct{ Field, Fault string }

func (e *TermError) Error() string { return e.Field + " " + e.Fault }

// Refusal is why a coupon gave nothing. It is an error; nothing was recorded.
type Refusal string

// What a redeemer may be told.
const (
	Unknown     Refusal = "Coupon code not found"
	NotStarted  Refusal = "This coupon is not valid yet"
	Ended       Refusal = "This coupon has ended"
	Unverified  Refusal = "Please verify your email address first"
	OtherDomain Refusal = "This coupon is for email addresses of other domains"
	NotNew      Refusal = "This coupon is for new accounts"
	Used        Refusal = "You have already redeemed this coupon"
	Depleted    Refusal = "This coupon has been redeemed as often as it can be"
	DomainLimit Refusal = "This coupon has been redeemed by as many of your email domain as can"
)

func (r Refusal) Error() string { return string(r) }

// errPersonTaken means that the person of a trial was given one meanwhile.
var errPersonTaken = errors.New("the person was given a trial")

// dbError turns what PostgreSQL and the way to it say into sentinels.
func dbError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "coupons_code_hash_key":
			return ErrCodeTaken
		case "coupon_redemptions_user_key", "coupon_redemptions_person_key":
			return Used
		case "coupon_redemptions_idempotency_key_key":
			return creditcore.ErrKeyReused
		case "trials_person_key":
			return errPersonTaken
		}
	}
	if dbscope.IsUnavailable(err) && !errors.Is(err, creditcore.ErrUnavailable) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}
