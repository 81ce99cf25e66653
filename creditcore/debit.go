package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Debit is a charge. Type is Usage where empty. Operation says what was used,
// for [Service.Usage]. Key is the client's idempotency key, empty for none.
type Debit struct {
	UserID      string
	Amount      Amount
	Type        EntryType
	AppID       string
	Description string
	Operation   string
	Metadata    json.RawMessage
	Key         string
}

func (d *Debit) prepare() ([]byte, error) {
	if d.Type == "" {
		d.Type = Usage
	}
	err := checkRequest(d.UserID, d.Amount, d.Key, d.Metadata,
		text{"appId", d.AppID}, text{"description", d.Description}, text{"operation", d.Operation})
	if err != nil || d.Key == "" {
		return nil, err
	}
	return fingerprint(string(d.Type), d.Amount, d.Metadata, d.AppID, d.Description, d.Operation), nil
}

// Debit takes credits: the check, the charge, the ledger row and the usage are
// one statement. Concurrent debits share a commit, each with an outcome of its
// own. It fails with [*InsufficientError], [ErrAccountNotFound], [ErrKeyReused],
// [ErrInvalid] or [ErrUnavailable].
//
// If ctx ends while the debit waits for its turn, nothing was charged and the
// error is ctx's; once it is on its way its outcome is waited for. All of that
// takes less than five seconds, however many wait at an account that is busy.
//
// Where the connection breaks before the answer is read, the debit may have
// been made: with a Key ask again; without, it is looked for and refunded.
func (s *Service) Debit(ctx context.Context, d Debit) (Receipt, error) {
	began := time.Now()
	mark, err := d.prepare()
	if err != nil {
		return Receipt{}, err
	}
	turn, cancel := context.WithTimeoutCause(ctx, turnWait, ErrUnavailable)
	defer cancel()
	r, err := s.debits.do(turn, &debitItem{Debit: d, fingerprint: mark})
	if errors.Is(err, ErrAccountNotFound) { // of a user whom nothing was granted yet
		if err = s.openAccount(ctx, d.UserID); err == nil {
			r, err = s.debits.do(turn, &debitItem{Debit: d, fingerprint: mark})
		}
	}
	s.observeDebit(r, err, time.Since(began))
	return r, err
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
	case errors.Is(err, ErrKeyReused):
		outcome = "key_reused"
	case errors.Is(err, ErrAccountNotFound):
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
	a, err := s.lockTx(ctx, tx, d.UserID)
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if r, found, err := s.replayTx(ctx, tx, a, d.Key, "", mark); found || err != nil {
		return r, dbError(err)
	}
	if available := a.Balance - a.Held; available < d.Amount {
		return Receipt{}, &InsufficientError{Required: d.Amount, Available: available}
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: d.Type, Spent: d.Amount, Unburnt: d.Amount, AppID: d.AppID, Operation: d.Operation,
		Description: d.Description, Metadata: d.Metadata, Key: d.Key, Fingerprint: mark,
	})
	if err == nil && d.Type == Usage {
		_, err = tx.Exec(ctx, `SELECT credits.used($1, $2, $3, $4)`, d.UserID, d.AppID, d.Operation, int64(d.Amount))
	}
	return Receipt{Entry: e, Balance: a.of(d.UserID)}, dbError(err)
}

// debitItem is a debit on its way through the batcher.
type debitItem struct {
	Debit
	fingerprint []byte
	id          string        // of its ledger row
	done        chan struct{} // closed when receipt and err are set
	receipt     Receipt
	err         error
}

func (it *debitItem) account() string { return it.UserID }

// debited is what credits.debit says of an item.
type debited struct {
	Item          int
	Outcome       string
	EntryID       *string
	EntrySequence *int64
	BalanceBefore *Amount
	At            time.Time
	account
}

// debitBatch books a batch in one round trip and gives every item its outcome.
func (s *Service) debitBatch(items []*debitItem) {
	if s.observe.Batch != nil {
		s.observe.Batch(len(items))
	}
	ctx, cancel := dbscope.Bounded(context.Background())
	defer cancel()
	slices.SortStableFunc(items, func(a, b *debitItem) int {
		if c := strings.Compare(a.UserID, b.UserID); c != 0 {
			return c
		}
		return strings.Compare(a.AppID+"\x00"+a.Operation, b.AppID+"\x00"+b.Operation)
	})
	err := s.bookBatch(ctx, items)
	switch {
	case err == nil:
	case len(items) > 1 && !errors.Is(err, ErrUnavailable):
		for _, it := range items { // one of them is the fault; the others must not pay for it
			s.debitBatch([]*debitItem{it})
		}
	default:
		for _, it := range items {
			if it.err = err; dbscope.Doubtful(err) {
				s.doubt(it)
			}
		}
	}
}

func (s *Service) bookBatch(ctx context.Context, items []*debitItem) error {
	n := len(items)
	users, ids, types, apps := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	operations, descriptions := make([]string, n), make([]string, n)
	amounts, metadata, keys, marks := make([]int64, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	for i, it := range items {
		it.id = newID()
		users[i], ids[i], types[i], amounts[i] = it.UserID, it.id, string(it.Type), int64(it.Amount)
		apps[i], operations[i], descriptions[i] = it.AppID, it.Operation, it.Description
		metadata[i], keys[i], marks[i] = dbscope.NullText(string(it.Metadata)), dbscope.NullText(it.Key), it.fingerprint
	}
	outcomes, err := dbscope.Rows[debited](ctx, s.db.Pool, dbscope.System(),
		`SELECT * FROM credits.debit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		users, ids, types, amounts, apps, operations, descriptions, metadata, keys, marks)
	if err != nil {
		return dbError(err)
	}
	for _, o := range outcomes {
		it := items[o.Item-1]
		it.receipt, it.err = s.debitOutcome(ctx, it, o)
	}
	return nil
}

func (s *Service) debitOutcome(ctx context.Context, it *debitItem, o debited) (Receipt, error) {
	switch o.Outcome {
	case "charged":
		e := Entry{
			ID: *o.EntryID, UserID: it.UserID, Sequence: *o.EntrySequence, Type: it.Type, Status: "completed",
			Amount: -it.Amount, BalanceBefore: *o.BalanceBefore, BalanceAfter: *o.BalanceBefore - it.Amount,
			AppID: it.AppID, Description: it.Description, Operation: it.Operation, Metadata: it.Metadata,
			IdempotencyKey: dbscope.NullText(it.Key), CreatedAt: o.At, CompletedAt: &o.At,
		}
		return Receipt{Entry: e, Balance: o.of(it.UserID)}, nil
	case "replayed":
		e, err := s.entry(ctx, it.UserID, *o.EntryID)
		return Receipt{Entry: e, Balance: o.of(it.UserID), Replayed: true}, err
	case "insufficient":
		return Receipt{}, &InsufficientError{Required: it.Amount, Available: o.Balance - o.Held}
	case "key_reused":
		return Receipt{}, ErrKeyReused
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
