package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Hold reserves credits for a charge whose amount is known later. Key is a
// client's idempotency key; Request says what it stands for. A TTL of zero is
// the configured one.
type Hold struct {
	UserID      string
	Amount      Amount
	AppID       string
	Operation   string
	Description string
	Metadata    json.RawMessage
	Key         string
	Request     string
	TTL         time.Duration
}

// Held is a reservation. Replayed means that the key's hold exists already and
// this is another attempt under it; Settled is then what it was charged, nil
// while it is open.
type Held struct {
	ID       string
	Amount   Amount
	Replayed bool
	Settled  *Amount
	Balance  Balance
}

// heldRow is what credits.hold says.
type heldRow struct {
	Outcome       string
	HoldID        *string
	SettledAmount *Amount
	account
}

// Hold reserves the amount, or joins the hold of the same key. Every call that
// did not fail is to be followed by one [Service.Settle] or [Service.Release].
// A key whose hold was given back stands for a new one. It fails with
// [*InsufficientError], [ErrAccountNotFound], [ErrKeyReused] (another Request
// or Amount), [ErrInvalid] or [ErrUnavailable].
func (s *Service) Hold(ctx context.Context, h Hold) (Held, error) {
	err := checkRequest(h.UserID, h.Amount, h.Key, h.Metadata,
		text{"appId", h.AppID}, text{"operation", h.Operation}, text{"description", h.Description})
	if err != nil {
		return Held{}, err
	}
	var mark []byte
	if h.Key != "" {
		mark = fingerprint("hold", h.Amount, nil, h.Request)
	}
	if h.TTL <= 0 {
		h.TTL = s.cfg.HoldTTL
	}
	r, err := s.hold(ctx, h, mark)
	if err == nil && r.Outcome == "no_account" {
		if err = s.openAccount(ctx, h.UserID); err == nil {
			r, err = s.hold(ctx, h, mark)
		}
	}
	if err != nil {
		return Held{}, err
	}
	switch r.Outcome {
	case "held":
		s.observeHold("opened")
		return Held{ID: *r.HoldID, Amount: h.Amount, Balance: r.of(h.UserID)}, nil
	case "replayed":
		return Held{ID: *r.HoldID, Amount: h.Amount, Replayed: true, Settled: r.SettledAmount, Balance: r.of(h.UserID)}, nil
	case "insufficient":
		return Held{}, &InsufficientError{Required: h.Amount, Available: r.Balance - r.Held}
	case "key_reused":
		return Held{}, ErrKeyReused
	}
	return Held{}, ErrAccountNotFound
}

func (s *Service) hold(ctx context.Context, h Hold, mark []byte) (heldRow, error) {
	return dbscope.One[heldRow](ctx, s.db, dbscope.System(),
		`SELECT * FROM credits.hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		h.UserID, newID(), int64(h.Amount), h.AppID, h.Operation, h.Description,
		dbscope.NullText(string(h.Metadata)), dbscope.NullText(h.Key), mark, h.TTL)
}

// settledRow is what credits.settle says.
type settledRow struct {
	Outcome       string
	UserID        string
	Charged       Amount
	AppID         string
	Operation     string
	Description   string
	Metadata      json.RawMessage
	EntryID       *string
	EntrySequence *int64
	BalanceBefore *Amount
	At            time.Time
	account
}

// Settle charges a hold with 0 to its amount; more is the whole amount. The
// first settlement counts, the others replay it. A charge of 0 writes no
// ledger row: the receipt's Entry has no ID then.
//
// A hold that was released or has expired is charged late, with what the
// account has: the row's metadata says lateSettle and the shortfall in
// credits. It is not charged if a newer attempt under its key took its place.
// It fails with [ErrHoldNotFound], [ErrInvalid] or [ErrUnavailable].
func (s *Service) Settle(ctx context.Context, holdID string, amount Amount, metadata json.RawMessage) (Receipt, error) {
	if amount < 0 || len(metadata) > 0 && (!storable(metadata) || len(metadata) > maxMetadata) {
		return Receipt{}, ErrInvalid
	}
	r, err := dbscope.One[settledRow](ctx, s.db, dbscope.System(), `SELECT * FROM credits.settle($1, $2, $3, $4)`,
		holdID, newID(), int64(amount), dbscope.NullText(string(metadata)))
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, ErrHoldNotFound
	}
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{Balance: r.of(r.UserID), Replayed: r.Outcome == "replayed"}
	switch {
	case r.EntryID == nil:
	case receipt.Replayed:
		receipt.Entry, err = s.entry(ctx, r.UserID, *r.EntryID)
	default:
		receipt.Entry = Entry{
			ID: *r.EntryID, UserID: r.UserID, Sequence: *r.EntrySequence, Type: Usage, Status: "completed",
			Amount: -r.Charged, BalanceBefore: *r.BalanceBefore, BalanceAfter: *r.BalanceBefore - r.Charged,
			AppID: r.AppID, Description: r.Description, Operation: r.Operation, Metadata: r.Metadata,
			CreatedAt: r.At, CompletedAt: &r.At,
		}
	}
	if !receipt.Replayed {
		s.observeHold(r.Outcome)
	}
	return receipt, err
}

// releasedRow is what credits.release says.
type releasedRow struct {
	Outcome string
	UserID  string
	account
}

// Release ends an attempt without a charge. The last attempt under a key gives
// the credits back; other attempts, and a settlement, stand. It fails with
// [ErrHoldNotFound] or [ErrUnavailable]; the hold then expires by itself.
func (s *Service) Release(ctx context.Context, holdID string) (Balance, error) {
	r, err := dbscope.One[releasedRow](ctx, s.db, dbscope.System(), `SELECT * FROM credits.release($1)`, holdID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Balance{}, ErrHoldNotFound
	}
	if err != nil {
		return Balance{}, err
	}
	if r.Outcome == "released" {
		s.observeHold("released")
	}
	return r.of(r.UserID), nil
}

func (s *Service) observeHold(event string) {
	if s.observe.Hold != nil {
		s.observe.Hold(event)
	}
}
