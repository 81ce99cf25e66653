package gift

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Claim asks for a portion of a gift.
type Claim struct {
	Code      string // in any case
	Answer    string // to a riddle
	SourceApp string // "gift" where empty
	// MatrixID is the redeemer's, proven by who calls, unless another account is
	// linked to it. Ids that they linked to their account count without being
	// named.
	MatrixID string
	Key      string // the client's idempotency key
}

// Received is a claimed portion. Replayed marks the answer to a repeated
// claim; Balance is what the redeemer has now.
type Received struct {
	Code     Code
	Credits  creditcore.Amount
	Balance  creditcore.Amount
	Message  *string
	Replayed bool
}

// Redeem gives the caller a portion. What a gift is not handed out for is a
// [Refusal]; beside it Redeem fails with [ErrBusy] or an error of the ledger.
// A key is kept with a success only: it gets the same answer again, or
// [creditcore.ErrKeyReused] with another claim.
func (s *Service) Redeem(ctx context.Context, c creditcore.Caller, claim Claim) (Received, error) {
	if !storable(claim.Answer, maxAnswer) || !storable(claim.SourceApp, maxName) || !storable(claim.MatrixID, maxName) || !storable(claim.Key, maxName) {
		return Received{}, fmt.Errorf("%w: claim", ErrInvalid)
	}
	a := attempt{Caller: c, Claim: claim}
	r, err := s.redeem(ctx, &a)
	refused := Refusal("")
	switch {
	case err == nil && !r.Replayed:
		s.saw("redeemed")
	case errors.As(err, &refused):
		s.saw("refused")
		if a.expired {
			s.saw("expired")
		}
	}
	return r, err
}

// attempt is a claim on its way.
type attempt struct {
	creditcore.Caller
	Claim
	code    Code
	answer  verdict
	now     time.Time // of the transaction
	expired bool      // it found the gift's time to be over, and ended it
}

// verdict is what became of an answer before the gift was locked.
type verdict int

const (
	unjudged verdict = iota
	wrong
	right
)

func (s *Service) redeem(ctx context.Context, a *attempt) (r Received, err error) {
	var ok bool
	if a.code, ok = ParseCode(a.Code); !ok {
		return r, Unknown
	}
	if a.answer, err = s.judge(ctx, a); err != nil {
		return r, err
	}
	err = s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		r, err = s.redeemTx(ctx, tx, a)
		return err
	})
	if err == nil && r.Replayed {
		var b creditcore.Balance
		b, err = s.ledger.BalanceOf(ctx, a.UserID)
		r.Balance = b.Available
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return Received{}, Unknown
	case err != nil:
		return Received{}, err
	}
	return r, nil
}

// judge verifies an answer, if there is anything to be verified. A refusal
// that stands without it needs no hash: none of them can lapse by the time the
// gift is locked, but that of too many answers, which then stands.
func (s *Service) judge(ctx context.Context, a *attempt) (verdict, error) {
	if a.Answer == "" {
		return unjudged, nil
	}
	g, err := dbscope.One[stored](ctx, s.db, system(), `SELECT `+storedColumns+` FROM gifts.gift_codes AS g WHERE g.code = $1`, string(a.code))
	if errors.Is(err, pgx.ErrNoRows) {
		return unjudged, Unknown
	}
	if err != nil || g.RiddleAnswerHash == nil {
		return unjudged, err
	}
	now := s.now()
	st, err := dbscope.One[standing](ctx, s.db, system(), standingSQL, a.standingArgs(g, s.cfg.RedeemUnverified, now)...)
	if err != nil {
		return unjudged, err
	}
	if a.refusal(&g, st, now) != "" && !st.Keyed {
		return unjudged, nil
	}
	ok, err := s.riddles.right(ctx, *g.RiddleAnswerHash, a.Answer)
	switch {
	case err != nil:
		return unjudged, err
	case ok:
		return right, nil
	}
	return wrong, nil
}

func (s *Service) redeemTx(ctx context.Context, tx pgx.Tx, a *attempt) (Received, error) {
	g, err := lockTx(ctx, tx, "code", string(a.code))
	if err != nil {
		return Received{}, err
	}
	a.now = s.now()
	if a.Key != "" {
		if r, found, err := a.replayTx(ctx, tx, g); found || err != nil {
			return r, err
		}
	}
	// Under the lock, and in a statement of its own: one that waited for the
	// lock would see the other tables as they were before.
	st, err := dbscope.TxRow[standing](ctx, tx, standingSQL, a.standingArgs(g, s.cfg.RedeemUnverified, a.now)...)
	if err != nil {
		return Received{}, err
	}
	refusal := a.refusal(&g, st, a.now)
	switch {
	case refusal == Expired && g.Status == StatusActive:
		a.expired = true
		_, err = s.returnTx(ctx, tx, g, StatusExpired, a.now)
	case refusal == OtherPerson:
		err = a.failedTx(ctx, tx, g, "failed_wrong_user")
	case refusal == "" && g.RiddleAnswerHash != nil && a.answer == unjudged:
		refusal = GuessedTooMuch
	case refusal == "" && g.RiddleAnswerHash != nil && a.answer == wrong:
		refusal = WrongAnswer
		err = a.failedTx(ctx, tx, g, "failed_wrong_answer")
	case refusal == "" && g.Type != Split && st.Claimed:
		refusal = AlreadyClaimed
	}
	switch {
	case err != nil:
		return Received{}, err
	case refusal != "":
		return Received{}, refusal
	}
	return s.claimTx(ctx, tx, g, a)
}
