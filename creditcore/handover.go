package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Standing is how a hold stands. Neither Open nor Settled means that its credits
// have come back.
type Standing struct {
	Open    bool
	Settled *Amount
	Balance Balance // of the account that it is of
}

// Standing is how a hold stands now. It fails with [ErrHoldNotFound] or [ErrUnavailable].
func (s *Service) Standing(ctx context.Context, holdID string) (Standing, error) {
	type row struct {
		UserID        string
		State         string
		SettledAmount *Amount
		account
	}
	h, err := dbscope.One[row](ctx, s.db, dbscope.System(),
		`SELECT h.user_id, h.state::text AS state, h.settled_amount, b.balance, b.held, b.debt, b.total_earned, b.total_spent, b.version, b.created_at, b.updated_at
		 FROM credits.holds AS h JOIN credits.balances AS b ON b.user_id = h.user_id WHERE h.id = $1`, holdID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Standing{}, ErrHoldNotFound
	}
	return Standing{Open: h.State == "open", Settled: h.SettledAmount, Balance: h.of(h.UserID)}, err
}

// HandOver ends an attempt under a Committable hold, which whoever commits or cancels
// it may do from now on for ttl; the configured lifetime where that is 0. This process
// prolongs it no more. It is as good in place of [Service.Settle]. It fails with
// [ErrUnavailable]; what is left of the hold's lifetime stays then.
func (s *Service) HandOver(ctx context.Context, holdID string, ttl time.Duration) error {
	if ttl <= 0 {
		ttl = s.cfg.HoldTTL
	}
	s.reservations.resolved(holdID)
	_, err := s.db.Exec(ctx, dbscope.System(),
		`UPDATE credits.holds SET expires_at = greatest(expires_at, clock_timestamp() + $2) WHERE id = $1 AND state = 'open'`, holdID, ttl)
	return err
}
