package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Debit is a charge. It is UserID who spends, of their own account or, with
// Organization, of that organisation's, within what is allotted to them there.
// Type is Usage where empty. Operation says what was used,
// for [Service.Usage]. Key is the client's idempotency key, empty for none.
type Debit struct {
	UserID       string
	Organization string
	Amount       Amount
	Type         EntryType
	AppID        string
	Description  string
	Operation    string
	Metadata     json.RawMessage
	Key          string
	// APIKey is the id of the key that makes the charge, whose budget it counts
	// against; empty for none.
	APIKey string
	// InFlight is set for a charge that is taken before what it is for: until
	// [Service.Begun] or [Service.Compensate], a crash of this process gives it
	// back.
	InFlight bool
	// Price names the price that Amount was made by, empty for none. The charge that its
	// Key stands for is repeated as it was made, whatever the price is by now.
	Price string
}

func (d *Debit) prepare() ([]byte, error) {
	if d.Type == "" {
		d.Type = Usage
	}
	err := checkRequest(d.UserID, d.Amount, d.Key, d.Metadata,
		text{"appId", d.AppID}, text{"description", d.Description}, text{"operation", d.Operation}, text{"organizationId", d.Organization})
	if err != nil || d.Key == "" {
		return nil, err
	}
	texts := []string{d.AppID, d.Description, d.Operation}
	if d.Organization != "" {
		texts = append(texts, d.account())
	}
	return fingerprintOf(string(d.Type), d.Amount, d.Metadata, texts...), nil
}

// account is the one that pays.
func (d *Debit) account() string { return AccountOf(d.UserID, d.Organization) }

// spender is who spends of an account that is not their own, empty for their own.
func (d *Debit) spender() string {
	if d.Organization == "" {
		return ""
	}
	return d.UserID
}

// Debit takes credits: the check, the charge and the ledger row are one
// statement. Concurrent debits share a commit, each with an outcome of its
// own. It fails with [*InsufficientError], [ErrAccountNotFound], [ErrNotMember], [ErrKeyReused], [ErrKeyRefunded],
// [ErrInvalid] or [ErrUnavailable].
//
// If ctx ends while the debit waits for its turn, nothing was charged and the
// error is ctx's; once it is on its way its outcome is waited for. All of that
// takes less than five seconds, however many wait at an account that is busy.
//
// Where the connection breaks before the answer is read, the debit may have
// been made: with a Key ask again; without, it is looked for and refunded.
func (s *Service) Debit(ctx context.Context, d Debit) (Receipt, error) {
	r, err := s.debit(ctx, d)
	if errors.Is(err, ErrKeyReused) && d.Price != "" {
		if as, ok := s.asPricedBefore(ctx, d); ok {
			return s.debit(ctx, as)
		}
	}
	return r, err
}

func (s *Service) debit(ctx context.Context, d Debit) (Receipt, error) {
	began := time.Now()
	mark, err := d.prepare()
	if err != nil {
		return Receipt{}, err
	}
	it := &item{
		Kind: debiting, UserID: d.account(), Spender: d.spender(), Amount: d.Amount, Type: d.Type, AppID: d.AppID, Operation: d.Operation,
		Description: d.Description, Metadata: d.Metadata, Key: d.Key, Fingerprint: mark, APIKey: d.APIKey,
	}
	if d.InFlight {
		if err = s.takeOff(ctx, it); err != nil {
			return Receipt{}, err
		}
	}
	r, err := s.charge(ctx, it)
	if looked := it.Key == "" && dbscope.MaybeCommitted(it.err); d.InFlight && r.Entry.ID != it.ID && !looked {
		s.flights.landed(it.ID, false) // nothing was charged
	}
	s.observeDebit(r, err, time.Since(began))
	return r, err
}

func (s *Service) charge(ctx context.Context, it *item) (Receipt, error) {
	o, err := s.do(ctx, it)
	if err != nil {
		return Receipt{}, err
	}
	return s.debitOutcome(ctx, it, o)
}

func (s *Service) observeDebit(r Receipt, err error, took time.Duration) {
	if s.observe.Debit == nil {
		return
	}
	var insufficient *InsufficientError
	outcome := "error"
	switch {
	case err == nil && r.Replayed:
		outcome = "replayed"
	case err == nil:
		outcome = "charged"
	case errors.As(err, &insufficient):
		outcome = "insufficient"
	case errors.Is(err, ErrKeyReused), errors.Is(err, ErrKeyRefunded):
		outcome = "key_reused"
	case errors.Is(err, ErrAccountNotFound), errors.Is(err, ErrNotMember):
		outcome = "no_account"
	case errors.Is(err, ErrUnavailable):
		outcome = "unavailable"
	}
	s.observe.Debit(outcome, took)
}

// DebitTx takes credits in the caller's transaction. It fails as
// [Service.Debit] does, and leaves the transaction usable then.
func (s *Service) DebitTx(ctx context.Context, tx pgx.Tx, d Debit) (Receipt, error) {
	mark, err := d.prepare()
	if err != nil {
		return Receipt{}, err
	}
	a, err := s.lockTx(ctx, tx, d.account())
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if r, found, err := s.replayTx(ctx, tx, a, d.UserID, d.Key, "", mark); found || err != nil {
		return r, dbError(err)
	}
	if available := a.Balance - a.Held; available < d.Amount {
		return Receipt{}, &InsufficientError{Required: d.Amount, Available: available, Debt: a.Debt, Organization: d.Organization}
	}
	if err := s.withinLimitsTx(ctx, tx, d); err != nil {
		return Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: d.Type, Spent: d.Amount, Unburnt: d.Amount, AppID: d.AppID, Operation: d.Operation,
		Description: d.Description, Metadata: d.Metadata, Key: d.Key, Fingerprint: mark, APIKey: d.APIKey, SpentBy: d.spender(),
	})
	return Receipt{Entry: e, Balance: a.of(d.account())}, dbError(err)
}

func (s *Service) debitOutcome(ctx context.Context, it *item, o outcome) (Receipt, error) {
	switch o.Outcome {
	case "charged":
		e := Entry{
			ID: *o.EntryID, UserID: it.UserID, Sequence: *o.EntrySequence, Type: it.Type, Status: "completed",
			Amount: -it.Amount, BalanceBefore: *o.BalanceBefore, BalanceAfter: *o.BalanceBefore - it.Amount,
			AppID: it.AppID, Description: it.Description, Operation: it.Operation, Metadata: it.Metadata,
			IdempotencyKey: dbscope.NullText(it.Key), APIKey: dbscope.NullText(it.APIKey), SpentBy: dbscope.NullText(it.Spender), CreatedAt: *o.At, CompletedAt: o.At,
		}
		return Receipt{Entry: e, Balance: o.of(it.UserID)}, nil
	case "replayed": // of the same account, which the key's mark names
		e, err := s.entry(ctx, it.UserID, *o.EntryID)
		return Receipt{Entry: e, Balance: o.of(it.UserID), Replayed: true}, err
	case "insufficient", "allotment_insufficient", "key_insufficient":
		return Receipt{}, o.insufficient(it)
	case "not_member":
		return Receipt{}, ErrNotMember
	case "key_reused":
		return Receipt{}, ErrKeyReused
	case "key_refunded":
		return Receipt{}, ErrKeyRefunded
	}
	return Receipt{}, ErrAccountNotFound
}

// entry reads a ledger row of an account.
func (s *Service) entry(ctx context.Context, userID, id string) (Entry, error) {
	e, err := dbscope.One[Entry](ctx, s.db, dbscope.System(),
		`SELECT `+entryColumns+` FROM credits.transactions AS t WHERE t.id = $1 AND t.user_id = $2`, id, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Entry{}, ErrEntryNotFound
	}
	return e, err
}
