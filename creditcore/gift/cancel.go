package gift

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// Cancel ends a gift of the caller's, named by its id, and returns the credits
// that came back. It fails with [ErrNotFound], also for another's gift, or
// with [ErrNotActive]; one whose time is over is given back all the same.
func (s *Service) Cancel(ctx context.Context, c creditcore.Caller, id string) (refunded creditcore.Amount, err error) {
	if !storable(id, maxName) {
		return 0, ErrNotFound
	}
	event := "cancelled"
	err = s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		g, err := lockTx(ctx, tx, "id", id)
		now := s.now()
		status := StatusCancelled
		switch {
		case err != nil:
			return err
		case g.CreatorID != c.UserID:
			return ErrNotFound
		case g.Status != StatusActive:
			return ErrNotActive
		case g.overdue(now):
			event, status = "expired", StatusExpired
		case g.ClaimedPortions == 0:
			status = StatusRefunded
		}
		refunded, err = s.returnTx(ctx, tx, g, status, now)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case event == "expired":
		s.saw(event)
		return 0, ErrNotActive
	}
	s.saw(event)
	return refunded, nil
}

// returnTx ends a locked, active gift and gives its creator back what nobody
// claimed.
func (s *Service) returnTx(ctx context.Context, tx pgx.Tx, g stored, status Status, now time.Time) (creditcore.Amount, error) {
	_, err := tx.Exec(ctx,
		`UPDATE gifts.gift_codes SET status = $2, updated_at = $3 WHERE id = $1 AND status = 'active'`, g.ID, string(status), now)
	if err != nil {
		return 0, err
	}
	description := "Gift code cancelled: "
	if status == StatusExpired {
		description = "Gift code expired: "
	}
	metadata, err := json.Marshal(map[string]string{"giftCodeId": g.ID})
	if err != nil {
		return 0, err
	}
	_, err = s.ledger.RefundTx(ctx, tx, creditcore.Refund{
		UserID: g.CreatorID, Amount: g.left(), EntryID: *g.ReservationID, Of: creditcore.Gift, AppID: "gift",
		Description: description + string(g.Code), Metadata: metadata, InternalKey: "gift-return:" + g.ID,
	})
	return g.left(), err
}
