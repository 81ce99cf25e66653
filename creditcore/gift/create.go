package gift

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// codeTries is how many codes are tried for a free one.
const codeTries = 10

// Made is a gift with its link. Replayed marks the answer to a repeated order.
type Made struct {
	Gift
	URL      string
	Replayed bool
}

// Create makes a gift out of the caller's credits; an operator names the user
// whose credits it takes as the caller. It fails with [ErrPortion],
// [ErrRiddle], [ErrExpiry], [ErrHeld], [ErrInvalid], [ErrBusy] or an error of the ledger.
// A key that comes again with the same order gets the first gift as it is
// today, with another one [creditcore.ErrKeyReused].
func (s *Service) Create(ctx context.Context, c creditcore.Caller, o Order) (Made, error) {
	if err := o.check(); err != nil {
		return Made{}, err
	}
	if o.TargetEmail != "" {
		var err error
		if o.TargetEmail, err = s.cfg.Address(o.TargetEmail); err != nil {
			return Made{}, fmt.Errorf("%w: targetEmail: %w", ErrInvalid, err)
		}
	}
	hash := ""
	if o.RiddleAnswer != "" {
		var err error
		if hash, err = s.riddles.hash(ctx, o.RiddleAnswer); err != nil {
			return Made{}, err
		}
	}
	g, replayed, err := s.reserve(ctx, c, o, hash)
	if err == nil && replayed && g.RiddleAnswerHash != nil {
		var same bool
		if same, err = s.riddles.right(ctx, *g.RiddleAnswerHash, o.RiddleAnswer); err == nil && !same {
			err = creditcore.ErrKeyReused
		}
	}
	if err != nil {
		return Made{}, err
	}
	if !replayed {
		s.saw("created")
	}
	return Made{Gift: g.Gift, URL: s.URL(g.Code), Replayed: replayed}, nil
}

// reserve takes the credits and writes the gift in one transaction; a code
// that is taken costs another one.
func (s *Service) reserve(ctx context.Context, c creditcore.Caller, o Order, hash string) (g stored, replayed bool, err error) {
	for range codeTries {
		code := s.newCode()
		work := func(ctx context.Context, tx pgx.Tx) error {
			g, replayed, err = s.reserveTx(ctx, tx, c, o, hash, code)
			return err
		}
		err = s.inTx(ctx, work)
		if short := new(creditcore.InsufficientError); errors.As(err, &short) && s.ledger.Recall(ctx, c.UserID) {
			err = s.inTx(ctx, work) // an edge had leased what was lacking
		}
		if !errors.Is(err, errCodeTaken) {
			return g, replayed, err
		}
	}
	return g, false, errNoCode
}

func (s *Service) reserveTx(ctx context.Context, tx pgx.Tx, c creditcore.Caller, o Order, hash string, code Code) (g stored, replayed bool, err error) {
	if o.Key != "" {
		// Twins of one key wait for each other at their account.
		if err := s.ledger.LockTx(ctx, tx, c.UserID); err != nil {
			return g, false, err
		}
		g, err = dbscope.TxRow[stored](ctx, tx,
			`SELECT `+storedColumns+` FROM gifts.gift_codes AS g WHERE g.creator_id = $1 AND g.idempotency_key = $2`, c.UserID, o.Key)
		if err == nil && !bytes.Equal(g.RequestHash, o.fingerprint()) {
			return g, false, creditcore.ErrKeyReused
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return g, err == nil, err
		}
	}
	if o.ExpiresAt != nil && !o.ExpiresAt.After(s.now()) {
		return stored{}, false, ErrExpiry
	}
	if s.heldTx != nil {
		if held, err := s.heldTx(ctx, tx, c.UserID); err != nil || held {
			if err == nil {
				err = ErrHeld
			}
			return stored{}, false, err
		}
	}
	receipt, err := s.ledger.ReserveTx(ctx, tx, creditcore.Debit{
		UserID: c.UserID, Amount: o.total(), Type: creditcore.Gift,
		AppID: appOf(o.SourceApp), Description: "Gift code reservation: " + string(code),
	})
	if err != nil {
		return g, false, err
	}
	g, err = s.insertTx(ctx, tx, c, o, hash, code, receipt.Entry.ID)
	return g, false, err
}

// insertTx ends with the last statement of its transaction: it may wait for
// another one that is about to commit the same code. A gift ends with the first of
// what is in it.
func (s *Service) insertTx(ctx context.Context, tx pgx.Tx, c creditcore.Caller, o Order, hash string, code Code, reservation string) (stored, error) {
	now := s.now()
	expires := now.Add(s.cfg.Life)
	if o.ExpiresAt != nil {
		expires = *o.ExpiresAt
	}
	end, err := s.ledger.ReservedUntilTx(ctx, tx, reservation)
	if err != nil {
		return stored{}, err
	}
	if end != nil && end.Before(expires) {
		expires = *end
	}
	var mark []byte
	if o.Key != "" {
		mark = o.fingerprint()
	}
	g, err := dbscope.TxRow[stored](ctx, tx,
		`INSERT INTO gifts.gift_codes AS g (id, code, short_url, creator_id, total_credits, credits_per_portion, total_portions, type,
			target_email, target_matrix_id, riddle_question, riddle_answer_hash, message, expires_at, reservation_transaction_id,
			created_at, updated_at, idempotency_key, request_hash)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18)
		 ON CONFLICT (code) DO NOTHING
		 RETURNING `+storedColumns,
		newID(), string(code), s.URL(code), c.UserID, int64(o.total()), int64(o.perPortion()), o.Portions, string(o.Type),
		dbscope.NullText(o.TargetEmail), dbscope.NullText(o.TargetMatrixID), dbscope.NullText(o.RiddleQuestion), dbscope.NullText(hash), dbscope.NullText(o.Message),
		expires, reservation, now, dbscope.NullText(o.Key), mark)
	if errors.Is(err, pgx.ErrNoRows) {
		return g, errCodeTaken
	}
	return g, err
}
