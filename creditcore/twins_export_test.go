package creditcore

import (
	"context"

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
