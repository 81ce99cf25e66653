package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// itemKind is what an item does to its account.
type itemKind string

// The kinds, in the order in which a batch carries them out: what gives before
// what takes.
const (
	releasing    itemKind = "release"
	compensating itemKind = "compensate"
	settling     itemKind = "settle"
	extending    itemKind = "extend"
	debiting     itemKind = "debit"
	holding      itemKind = "hold"
)

// item is one change of an account on its way through the batcher. Which of
// its fields count depends on the kind.
type item struct {
	Kind        itemKind
	UserID      string // the account
	ID          string // of the ledger row or hold that it makes
	Target      string // the hold or charge that it is about
	Type        EntryType
	Amount      Amount
	AppID       string
	Operation   string
	Description string
	Metadata    json.RawMessage
	Key         string
	Fingerprint []byte
	TTL         time.Duration
	Edge        string // where the charge is in flight
	APIKey      string // that makes the charge or reservation, empty for none
	Spender     string // the member, where the account is an organisation's
	Body        []byte // what is known of the body of a settled request

	done    chan struct{} // closed when outcome and err are set
	outcome outcome
	err     error
}

// outcome is what credits.batch says of an item.
type outcome struct {
	Item          int
	Outcome       string
	EntryID       *string
	EntrySequence *int64
	BalanceBefore *Amount
	At            *time.Time
	Charged       *Amount
	HoldID        *string
	SettledAmount *Amount
	AppID         *string
	Operation     *string
	Description   *string
	Metadata      json.RawMessage
	Body          []byte
	CreditsLeft   *Amount // of the budget of the item's API key or member, before it
	account
}

// do carries out an item, gives an account its credits of the day before it is charged,
// opens one that nothing was granted to yet, and has leases recalled where the account has too little beside them.
func (s *Service) do(ctx context.Context, it *item) (outcome, error) {
	if it.Kind == debiting || it.Kind == holding {
		if err := s.giveDaily(ctx, it.UserID); err != nil {
			return outcome{}, err
		}
	}
	err := s.takeTurn(ctx, it)
	if err == nil && it.outcome.Outcome == "no_account" {
		if err = s.openAccount(ctx, it.UserID); err == nil {
			err = s.takeTurn(ctx, it)
		}
	}
	for range maxRecalls {
		if err != nil || it.outcome.Outcome != "insufficient" || it.outcome.Held == 0 || !s.Recall(ctx, it.UserID) {
			break
		}
		err = s.takeTurn(ctx, it)
	}
	return it.outcome, err
}

// takeTurn waits for the item's turn in the batcher, for so long.
func (s *Service) takeTurn(ctx context.Context, it *item) error {
	turn, cancel := context.WithTimeoutCause(ctx, turnWait, ErrUnavailable)
	defer cancel()
	return s.changes.do(turn, it)
}

var batchSQL = `SELECT * FROM ` + functions.Schema + `.batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

// carryOut runs a batch in one round trip and gives every item its outcome.
func (s *Service) carryOut(items []*item, wait bool) (locked []*item) {
	if s.observe.Batch != nil && !wait {
		s.observe.Batch(len(items))
	}
	ctx, cancel := dbscope.Bounded(context.Background())
	defer cancel()
	slices.SortStableFunc(items, func(a, b *item) int {
		if c := strings.Compare(a.UserID, b.UserID); c != 0 {
			return c
		}
		return strings.Compare(a.AppID+"\x00"+a.Operation, b.AppID+"\x00"+b.Operation)
	})
	outcomes, err := s.batch(ctx, items, wait)
	switch {
	case err == nil:
	case len(items) > 1 && !errors.Is(err, ErrUnavailable):
		for _, half := range [][]*item{items[:len(items)/2], items[len(items)/2:]} { // one of them is at fault; the others must not pay for it
			s.carryOut(half, true)
		}
		return nil
	default:
		for _, it := range items {
			if it.err = err; it.Kind == debiting && dbscope.MaybeCommitted(err) {
				s.doubt(it)
			}
		}
		return nil
	}
	for _, o := range outcomes {
		it := items[o.Item-1]
		if o.Outcome == "locked" {
			locked = append(locked, it)
			continue
		}
		it.outcome, it.err = o, nil
	}
	return locked
}

func (s *Service) batch(ctx context.Context, items []*item, wait bool) ([]outcome, error) {
	n := len(items)
	kinds, users, ids, types, edges := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]*string, n)
	bodies, apiKeys, spenders := make([][]byte, n), make([]*string, n), make([]*string, n)
	targets, apps, operations, descriptions := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	amounts, metadata, keys, marks, ttls := make([]int64, n), make([]*string, n), make([]*string, n), make([][]byte, n), make([]time.Duration, n)
	for i, it := range items {
		if it.Kind != debiting || it.ID == "" {
			it.ID = newID()
		}
		kinds[i], users[i], ids[i], targets[i] = string(it.Kind), it.UserID, it.ID, it.Target
		types[i], amounts[i], ttls[i], edges[i] = string(it.Type), int64(it.Amount), it.TTL, dbscope.NullText(it.Edge)
		apps[i], operations[i], descriptions[i] = it.AppID, it.Operation, it.Description
		metadata[i], marks[i], bodies[i], apiKeys[i] = dbscope.NullText(string(it.Metadata)), it.Fingerprint, it.Body, dbscope.NullText(it.APIKey)
		spenders[i] = dbscope.NullText(it.Spender)
		if it.Kind == debiting || it.Kind == holding {
			keys[i] = dbscope.NullText(it.Key)
		}
	}
	outcomes, err := dbscope.Rows[outcome](ctx, s.db.Pool, dbscope.System(), batchSQL,
		wait, kinds, users, ids, targets, types, amounts, apps, operations, descriptions, metadata, keys, marks, ttls, edges, bodies, apiKeys, spenders)
	return outcomes, dbError(err)
}
