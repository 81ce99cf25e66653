package creditcore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// unattended marks in the metadata of a hold that a back end may resolve it. Any
// other that a metered route makes is not theirs to resolve.
const unattended = "reservation"

// committable is the metadata, an object or nothing, of a hold that back ends may resolve.
func committable(metadata json.RawMessage) json.RawMessage {
	const mark = `{"` + unattended + `":true`
	if len(metadata) <= len("{}") {
		return json.RawMessage(mark + "}")
	}
	return append([]byte(mark+","), bytes.TrimSpace(metadata)[1:]...)
}

// ResolvedError refuses to resolve an unattended hold twice. State is
// "committed" or "refunded", Action what was asked for: "commit" or "refund".
type ResolvedError struct{ Action, State string }

func (e *ResolvedError) Error() string {
	return fmt.Sprintf("Cannot %s reservation in status: %s", e.Action, e.State)
}

// ExceedsError refuses to charge more than was reserved.
type ExceedsError struct{ Reserved Amount }

func (e *ExceedsError) Error() string {
	return "amount must not be greater than what was reserved, " + e.Reserved.String()
}

// Reserve makes an unattended hold. The receipt's Amount and Balance are those
// of [Service.Hold], which it fails as.
func (s *Service) Reserve(ctx context.Context, h Hold) (Held, error) {
	h.Unattended, h.Committable, h.Key, h.Metadata = true, true, "", nil
	return s.Hold(ctx, h)
}

// unattendedHold is one under its account's lock.
type unattendedHold struct {
	UserID string
	Amount Amount
	State  string
}

// unattendedTx locks the account of an unattended hold, then reads the hold. It
// fails with [ErrHoldNotFound].
func (s *Service) unattendedTx(ctx context.Context, tx pgx.Tx, holdID string) (h unattendedHold, a locked, err error) {
	const read = `SELECT user_id, amount, state::text AS state FROM credits.holds WHERE id = $1 AND metadata ? '` + unattended + `'`
	if !plain(holdID) {
		return h, a, ErrHoldNotFound
	}
	h, err = dbscope.TxRow[unattendedHold](ctx, tx, read, holdID)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, a, ErrHoldNotFound
	}
	if err == nil {
		a, err = s.lockTx(ctx, tx, h.UserID)
	}
	if err == nil {
		h, err = dbscope.TxRow[unattendedHold](ctx, tx, read, holdID)
	}
	return h, a, err
}

// resolved is how a hold stands that cannot be resolved any more.
func (h unattendedHold) resolved(action string) error {
	switch h.State {
	case "settled", "late":
		return &ResolvedError{action, "committed"}
	case "released":
		return &ResolvedError{action, "refunded"}
	}
	return nil
}

// Commit charges an unattended hold once: all of it, or the given part; the rest
// is free again. A description that is not empty replaces the hold's. A hold
// whose time is over is charged as long as the account has the credits. It
// fails with [*ResolvedError], [*ExceedsError], [*InsufficientError],
// [ErrHoldNotFound], [ErrInvalid] or [ErrUnavailable], and changes nothing then.
func (s *Service) Commit(ctx context.Context, holdID string, part *Amount, description string) (Receipt, error) {
	if part != nil && *part <= 0 || !plain(description) || len(description) > maxText {
		return Receipt{}, ErrInvalid
	}
	type charge struct {
		UserID  string
		EntryID *string
	}
	var charged charge
	var balance Balance
	err := s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		h, a, err := s.unattendedTx(ctx, tx, holdID)
		if err != nil {
			return err
		}
		amount := h.Amount
		if part != nil {
			amount = *part
		}
		switch available := a.Balance - a.Held; {
		case h.resolved("commit") != nil:
			return h.resolved("commit")
		case amount > h.Amount:
			return &ExceedsError{h.Amount}
		case h.State != "open" && available < amount:
			return &InsufficientError{Required: amount, Available: available, Debt: a.Debt}
		}
		if description != "" {
			if _, err := tx.Exec(ctx, `UPDATE credits.holds SET description = $2 WHERE id = $1`, holdID, description); err != nil {
				return err
			}
		}
		charged, err = dbscope.TxRow[charge](ctx, tx,
			`SELECT user_id, entry_id FROM `+functions.Schema+`.settle($1, $2, $3, NULL, NULL)`, holdID, newID(), int64(amount))
		if err != nil {
			return err
		}
		a, err = s.readTx(ctx, tx, h.UserID)
		balance = a.of(h.UserID)
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	s.observeHold("settled")
	e, err := s.entry(ctx, charged.UserID, *charged.EntryID)
	return Receipt{Entry: e, Balance: balance}, err
}

// Cancel gives an unattended hold back. One whose time is over has come back
// already, which is no error. It fails with [*ResolvedError],
// [ErrHoldNotFound] or [ErrUnavailable].
func (s *Service) Cancel(ctx context.Context, holdID string) (balance Balance, err error) {
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		h, _, err := s.unattendedTx(ctx, tx, holdID)
		if err == nil {
			err = h.resolved("refund")
		}
		if err == nil { // the word of whoever resolves it counts for all attempts under its key
			_, err = tx.Exec(ctx, `UPDATE credits.holds SET attempts = least(attempts, 1) WHERE id = $1`, holdID)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `SELECT `+functions.Schema+`.release($1)`, holdID)
		}
		if err != nil {
			return err
		}
		a, err := s.readTx(ctx, tx, h.UserID)
		balance = a.of(h.UserID)
		return err
	})
	if err == nil {
		s.observeHold("released")
	}
	return balance, err
}

// ReservedFor is the app that an unattended hold was made for. It fails with
// [ErrHoldNotFound] or [ErrUnavailable].
func (s *Service) ReservedFor(ctx context.Context, holdID string) (app string, err error) {
	if !plain(holdID) {
		return "", ErrHoldNotFound
	}
	h, err := dbscope.One[struct{ AppID string }](ctx, s.db, dbscope.System(),
		`SELECT app_id FROM credits.holds WHERE id = $1 AND metadata ? '`+unattended+`'`, holdID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrHoldNotFound
	}
	return h.AppID, err
}
