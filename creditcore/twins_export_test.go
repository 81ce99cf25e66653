package creditcore

import (
	"context"
	"slices"
	"strings"
	"time"

	"mana.how/edge/internal/dbscope"
)

// DebitTogether carries out debits in one statement, without the retry of each
// alone that follows one that fails.
func (s *Service) DebitTogether(ctx context.Context, debits ...Debit) ([]Receipt, []error, error) {
	items := make([]*item, len(debits))
	for i, d := range debits {
		mark, err := d.prepare()
		if err != nil {
			return nil, nil, err
		}
		items[i] = &item{Kind: debiting, UserID: d.UserID, Amount: d.Amount, Type: d.Type, AppID: d.AppID, Key: d.Key, Fingerprint: mark}
	}
	bounded, cancel := dbscope.Bounded(ctx)
	defer cancel()
	outcomes, err := s.batch(bounded, items, true)
	receipts, errs := make([]Receipt, len(items)), make([]error, len(items))
	for _, o := range outcomes {
		receipts[o.Item-1], errs[o.Item-1] = s.debitOutcome(ctx, items[o.Item-1], o)
	}
	return receipts, errs, err
}

// Together carries out holds and settlements in one statement, and returns what
// became of each.
func (s *Service) Together(ctx context.Context, holds []Hold, settlements []Settlement) (became []string, ids []string, err error) {
	var items []*item
	for _, p := range settlements {
		items = append(items, &item{Kind: settling, UserID: p.UserID, Target: p.HoldID, Amount: p.Amount})
	}
	for _, h := range holds {
		items = append(items, &item{Kind: holding, UserID: h.UserID, Amount: h.Amount, Key: h.Key, Fingerprint: []byte(h.AppID), AppID: h.AppID, TTL: time.Minute})
	}
	slices.SortStableFunc(items, func(a, b *item) int { return strings.Compare(a.UserID, b.UserID) })
	bounded, cancel := dbscope.Bounded(ctx)
	defer cancel()
	outcomes, err := s.batch(bounded, items, true)
	became, ids = make([]string, len(items)), make([]string, len(items))
	for _, o := range outcomes {
		if became[o.Item-1] != "" {
			became[o.Item-1] = "twice"
			continue
		}
		became[o.Item-1] = o.Outcome
		if o.HoldID != nil {
			ids[o.Item-1] = *o.HoldID
		}
	}
	return became, ids, err
}

// Settlement is what [Service.Together] settles.
type Settlement struct {
	UserID, HoldID string
	Amount         Amount
}
