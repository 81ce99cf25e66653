package creditcore

import "context"

// Extend has an open hold reserve that much more. It reports false where the hold is
// resolved, which it stays: another attempt under its key was charged for it, or its time
// was over. It fails with [*InsufficientError], [ErrNotMember], [ErrHoldNotFound],
// [ErrInvalid] or [ErrUnavailable], and the hold is as it was then.
func (s *Service) Extend(ctx context.Context, h Held, amount Amount) (Balance, bool, error) {
	if amount <= 0 || amount > MaxAmount || !plain(h.ID) || !plain(h.Account) || !plain(h.APIKey) {
		return Balance{}, false, ErrInvalid
	}
	it := &item{Kind: extending, UserID: h.Account, Target: h.ID, Amount: amount, APIKey: h.APIKey}
	r, err := s.do(ctx, it)
	switch {
	case err != nil:
		return Balance{}, false, err
	case r.Outcome == "no_hold":
		return Balance{}, false, ErrHoldNotFound
	case r.Outcome == "not_member":
		return Balance{}, false, ErrNotMember
	case r.Outcome == "extended", r.Outcome == "resolved":
		return r.of(h.Account), r.Outcome == "extended", nil
	}
	return Balance{}, false, r.insufficient(it)
}
