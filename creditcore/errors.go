package creditcore

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

// Errors of the ledger. Test with [errors.Is], never by text.
var (
	// ErrAccountNotFound means that there is no such user, or that he is gone
	// and never had credits.
	ErrAccountNotFound = errors.New("User balance not found")
	// ErrToppedUp means that the threshold of an account is that of its automatic
	// top-up, and is set there.
	ErrToppedUp = errors.New("The threshold is that of the automatic top-up: change it there")
	// ErrNotMember means that who would spend of an organisation's account is no
	// member of it.
	ErrNotMember = errors.New("Not a member of the organization")
	// ErrKeyReused means that the idempotency key came with another request.
	ErrKeyReused = errors.New("Idempotency-Key was already used with another request")
	// ErrKeySpent means that the request of the idempotency key was repeated
	// too often, or too long after its charge.
	ErrKeySpent = errors.New("Idempotency-Key is spent")
	// ErrKeyRefunded means that the charge of the idempotency key came back whole:
	// the key stands for nothing any more.
	ErrKeyRefunded   = errors.New("Idempotency-Key stands for a charge that was refunded")
	ErrEntryNotFound = errors.New("Transaction not found")
	// ErrRefundExceeds means that more would come back than was charged.
	ErrRefundExceeds = errors.New("Refund exceeds what was charged")
	ErrHoldNotFound  = errors.New("Hold not found")
	// ErrBusy means that gifts went on being passed around while their credits
	// were followed; the caller's transaction is to be tried again.
	ErrBusy = errors.New("credits are being passed on, try again")
	// ErrInvalid covers a request that no ledger row could be made of.
	ErrInvalid = errors.New("Invalid input")
	// ErrUnavailable means that PostgreSQL cannot be reached.
	ErrUnavailable = errors.New("database connection unavailable")
)

// InsufficientError refuses a debit or a hold: the account has less than it
// takes. Nothing was recorded. Debt is what the account owes beside that. With
// OfKey it is the budget of the API key that has less, with OfAllotment what the
// member may spend, and Available what is left of that. Organization is whose
// account was asked, empty for the user's.
type InsufficientError struct {
	Required, Available, Debt Amount
	OfKey, OfAllotment        bool
	Organization              string
}

func (e *InsufficientError) Error() string { return "Insufficient credits" }

// CreditType names on the wire what has less: key, organization or user.
func (e *InsufficientError) CreditType() string {
	switch {
	case e.OfKey:
		return "key"
	case e.Organization != "":
		return "organization"
	}
	return "user"
}

// Limit names on the wire what of an organisation's has less, if it is not its
// balance: allotment.
func (e *InsufficientError) Limit() string {
	if e.OfAllotment {
		return "allotment"
	}
	return ""
}

// isDuplicateKey reports whether somebody else was quicker with a name that is
// given once.
func isDuplicateKey(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// dbError turns what PostgreSQL and the way to it say into sentinels.
func dbError(err error) error {
	switch {
	case err == nil, errors.Is(err, pgx.ErrNoRows):
		return err
	case dbscope.IsUnavailable(err):
		return errors.Join(ErrUnavailable, err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "22003" { // numeric value out of range
		return fmt.Errorf("%w: amount out of range", ErrInvalid)
	}
	return err
}
