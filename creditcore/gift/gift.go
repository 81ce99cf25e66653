package gift

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Type is the kind of a gift, by its name on the wire. Only [Split] changes
// what may be done with it; the others say what it was made for.
type Type string

// The types.
const (
	Simple       Type = "simple"
	Personalized Type = "personalized"
	Split        Type = "split"      // one user may claim several portions
	FirstCome    Type = "first_come" // portions, one a user
	Riddle       Type = "riddle"
)

// Types are all there are.
var Types = []Type{Simple, Personalized, Split, FirstCome, Riddle}

// Status is where a gift is in its life.
type Status string

// The statuses.
const (
	StatusActive    Status = "active"
	StatusDepleted  Status = "depleted"
	StatusExpired   Status = "expired"
	StatusCancelled Status = "cancelled"
	StatusRefunded  Status = "refunded"
)

// refusal is what a redeemer is told of a gift that is no longer active.
func (s Status) refusal() Refusal {
	switch s {
	case StatusActive:
		return ""
	case StatusExpired:
		return Expired
	case StatusCancelled:
		return Cancelled
	case StatusRefunded:
		return Refunded
	default:
		return Depleted
	}
}

// Gift is a code with what it carries. ExpiresAt is nil for one without an
// end, which only imported rows can be.
type Gift struct {
	ID                string
	Code              Code
	CreatorID         string
	TotalCredits      creditcore.Amount
	CreditsPerPortion creditcore.Amount
	TotalPortions     int
	ClaimedPortions   int
	Type              Type
	Status            Status
	TargetEmail       *string
	TargetMatrixID    *string
	RiddleQuestion    *string
	Message           *string
	ExpiresAt         *time.Time
	CreatedAt         time.Time
}

const giftColumns = `g.id, g.code, g.creator_id, g.total_credits, g.credits_per_portion, g.total_portions, g.claimed_portions,
	g.type, g.status, g.target_email, g.target_matrix_id, g.riddle_question, g.message, g.expires_at, g.created_at`

// overdue reports whether an active gift's time is over.
func (g *Gift) overdue(now time.Time) bool {
	return g.Status == StatusActive && g.ExpiresAt != nil && !g.ExpiresAt.After(now)
}

// left is what nobody has claimed.
func (g *Gift) left() creditcore.Amount {
	return g.CreditsPerPortion * creditcore.Amount(g.TotalPortions-g.ClaimedPortions)
}

// stored is a gift with what does not leave this package.
type stored struct {
	Gift
	RiddleAnswerHash *string
	RequestHash      []byte
	ReservationID    *string
}

const storedColumns = giftColumns + `, g.riddle_answer_hash, g.request_hash, g.reservation_transaction_id AS reservation_id`

// lockTx locks a gift, found by a column that names one. It fails with
// [ErrNotFound].
func lockTx(ctx context.Context, tx pgx.Tx, column, value string) (stored, error) {
	g, err := dbscope.TxRow[stored](ctx, tx,
		`SELECT `+storedColumns+` FROM gifts.gift_codes AS g WHERE g.`+column+` = $1 FOR UPDATE`, value)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return g, err
}
