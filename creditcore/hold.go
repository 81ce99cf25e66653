package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// Hold reserves credits for a charge whose amount is known later. UserID spends
// them, of the account of the Organization where one is named. Key is a
// client's idempotency key; Request says what it stands for, but for a body,
// which is known later too. A TTL of zero is the configured one. An Unattended
// hold ends with its TTL: this process does not prolong it. A Committable one
// may be resolved by [Service.Commit] and [Service.Cancel], too.
type Hold struct {
	UserID       string
	Organization string
	Amount       Amount
	AppID        string
	Operation    string
	Description  string
	Metadata     json.RawMessage
	Key          string
	Request      string
	APIKey       string // the id of the key that reserves, as in [Debit]
	TTL          time.Duration
	Unattended   bool
	Committable  bool
	// Price names the price that Amount was made by, empty for none. The hold that Key
	// stands for is joined as it is, whatever the price is by now.
	Price string
}

// Held is a reservation. Replayed means that the key's hold exists already and
// this is another attempt under it; Settled is then what it was charged, nil
// while it is open, and Body what is known of the body that the key stands for.
type Held struct {
	ID string
	// Account is the one that pays: of a replay, the one that the key's hold is of.
	Account  string
	APIKey   string // that asked for it
	Amount   Amount
	Replayed bool
	Settled  *Amount
	Body     []byte
	Balance  Balance
}

// Hold reserves the amount, or joins the hold of the same key. Every call that
// did not fail is to be followed by one [Service.Settle] or [Service.Release].
// A key whose hold was given back stands for a new one; any other is good for
// three calls that are not released, the last of them within ten minutes of its
// charge. It fails with [*InsufficientError], [ErrAccountNotFound], [ErrNotMember],
// [ErrKeyReused] (another Request or Amount), [ErrKeyRefunded], [ErrKeySpent],
// [ErrInvalid] or [ErrUnavailable].
func (s *Service) Hold(ctx context.Context, h Hold) (Held, error) {
	held, err := s.hold(ctx, h)
	if errors.Is(err, ErrKeyReused) && h.Price != "" {
		if as, ok := s.asHeldBefore(ctx, h); ok {
			return s.hold(ctx, as)
		}
	}
	return held, err
}

func (s *Service) hold(ctx context.Context, h Hold) (Held, error) {
	err := checkRequest(h.UserID, h.Amount, h.Key, h.Metadata,
		text{"appId", h.AppID}, text{"operation", h.Operation}, text{"description", h.Description}, text{"organizationId", h.Organization})
	if err != nil {
		return Held{}, err
	}
	var mark []byte
	if h.Key != "" {
		mark = fingerprintOf("hold", h.Amount, nil, h.Request)
	}
	if h.TTL <= 0 {
		h.TTL = s.cfg.HoldTTL
	}
	if h.Committable {
		h.Metadata = committable(h.Metadata)
	}
	it, err := s.reserve(ctx, item{
		Kind: holding, UserID: AccountOf(h.UserID, h.Organization), Amount: h.Amount, AppID: h.AppID, Operation: h.Operation,
		Description: h.Description, Metadata: h.Metadata, Key: h.Key, Fingerprint: mark, TTL: h.TTL, APIKey: h.APIKey,
	}, h.UserID)
	if err != nil {
		return Held{}, err
	}
	switch account, r := it.UserID, it.outcome; r.Outcome {
	case "held":
		s.observeHold("opened")
		if !h.Unattended {
			s.reservations.opened(*r.HoldID, account, h.TTL)
		}
		return Held{ID: *r.HoldID, Account: account, APIKey: h.APIKey, Amount: h.Amount, Balance: r.of(account)}, nil
	case "replayed":
		if r.SettledAmount == nil {
			s.reservations.opened(*r.HoldID, account, h.TTL)
		}
		return Held{ID: *r.HoldID, Account: account, APIKey: h.APIKey, Amount: h.Amount, Replayed: true, Settled: r.SettledAmount, Body: r.Body, Balance: r.of(account)}, nil
	case "insufficient", "allotment_insufficient", "key_insufficient":
		return Held{}, r.insufficient(it)
	case "not_member":
		return Held{}, ErrNotMember
	case "key_reused":
		return Held{}, ErrKeyReused
	case "key_refunded":
		return Held{}, ErrKeyRefunded
	case "key_spent":
		return Held{}, ErrKeySpent
	}
	return Held{}, ErrAccountNotFound
}

// elsewheres bounds how often the hold of a key is looked for on another account.
const elsewheres = 4

// reserve carries out a hold, and returns it as it was decided. A key is its
// client's, whoever pays: where its hold is on another account, that one is joined,
// and pays. Of two that ask at once for holds of one key on two accounts the
// database lets one be made, and the other finds it. Each try is an item of its own:
// the batcher still reads one when its outcome is told.
func (s *Service) reserve(ctx context.Context, asked item, userID string) (*item, error) {
	for range elsewheres {
		it := asked
		if it.UserID != userID {
			it.Spender = userID
		}
		r, err := s.do(ctx, &it)
		switch {
		case it.Key != "" && isDuplicateKey(err):
			continue
		case err != nil:
			return nil, err
		case r.Outcome != "elsewhere":
			return &it, nil
		}
		if asked.UserID, err = s.accountOf(ctx, *r.HoldID); err != nil {
			return nil, err
		}
	}
	return nil, ErrUnavailable
}

// accountOf is whose hold that is. It fails with [ErrHoldNotFound].
func (s *Service) accountOf(ctx context.Context, holdID string) (string, error) {
	if userID, ok := s.reservations.userOf(holdID); ok {
		return userID, nil
	}
	h, err := dbscope.One[struct{ UserID string }](ctx, s.db, dbscope.System(), `SELECT user_id FROM credits.holds WHERE id = $1`, holdID)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrHoldNotFound
	}
	return h.UserID, err
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
	return s.SettleBody(ctx, holdID, amount, metadata, nil)
}

// SettleBody is Settle for an attempt whose body is marked so. The mark of the
// first settlement stays with the key; the receipt tells which that is.
func (s *Service) SettleBody(ctx context.Context, holdID string, amount Amount, metadata json.RawMessage, body []byte) (Receipt, error) {
	if amount < 0 || len(metadata) > 0 && (!storable(metadata) || len(metadata) > maxMetadata) {
		return Receipt{}, ErrInvalid
	}
	userID, err := s.accountOf(ctx, holdID)
	if err != nil {
		return Receipt{}, err
	}
	r, err := s.do(ctx, &item{Kind: settling, UserID: userID, Target: holdID, Amount: amount, Metadata: metadata, Body: body})
	switch {
	case err != nil:
		return Receipt{}, err
	case r.Outcome == "no_hold":
		s.reservations.resolved(holdID)
		return Receipt{}, ErrHoldNotFound
	}
	s.reservations.resolved(holdID)
	receipt := Receipt{Balance: r.of(userID), Replayed: r.Outcome == "replayed", Body: r.Body}
	switch {
	case r.EntryID == nil:
	case receipt.Replayed:
		receipt.Entry, err = s.entry(ctx, userID, *r.EntryID)
	default:
		receipt.Entry = Entry{
			ID: *r.EntryID, UserID: userID, Sequence: *r.EntrySequence, Type: Usage, Status: "completed",
			Amount: -*r.Charged, BalanceBefore: *r.BalanceBefore, BalanceAfter: *r.BalanceBefore - *r.Charged,
			AppID: *r.AppID, Description: *r.Description, Operation: *r.Operation, Metadata: r.Metadata,
			CreatedAt: *r.At, CompletedAt: r.At,
		}
	}
	if !receipt.Replayed {
		s.observeHold(r.Outcome)
	}
	return receipt, err
}

// MarkBody replaces what is known of the body that a key stands for, unless
// that is not was any more. It returns what is known then. It fails with
// [ErrHoldNotFound] or [ErrUnavailable].
func (s *Service) MarkBody(ctx context.Context, holdID string, was, body []byte) ([]byte, error) {
	r, err := dbscope.One[struct{ Body []byte }](ctx, s.db, dbscope.System(), `SELECT `+functions.Schema+`.mark_body($1, $2, $3) AS body`, holdID, was, body)
	if err == nil && r.Body == nil {
		err = ErrHoldNotFound
	}
	return r.Body, err
}

// Release ends an attempt without a charge: it does not count for its key. The
// last attempt under a key gives the credits back; other attempts, and a
// settlement, stand. It fails with
// [ErrHoldNotFound] or [ErrUnavailable]; the hold then expires by itself.
func (s *Service) Release(ctx context.Context, holdID string) (Balance, error) {
	userID, err := s.accountOf(ctx, holdID)
	if err != nil {
		return Balance{}, err
	}
	r, err := s.do(ctx, &item{Kind: releasing, UserID: userID, Target: holdID})
	s.reservations.resolved(holdID)
	switch {
	case err != nil:
		return Balance{}, err
	case r.Outcome == "no_hold":
		return Balance{}, ErrHoldNotFound
	}
	if r.Outcome == "released" {
		s.observeHold("released")
	}
	return r.of(userID), nil
}

func (s *Service) observeHold(event string) {
	if s.observe.Hold != nil {
		s.observe.Hold(event)
	}
}
