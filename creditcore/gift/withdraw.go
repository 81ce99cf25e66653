package gift

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// withdrawals ends gifts whose credits were not paid for. It is the
// [creditcore.Gifts] of the ledger.
type withdrawals struct{ *Service }

// LockTx implements [creditcore.Gifts].
func (w withdrawals) LockTx(ctx context.Context, tx pgx.Tx, reservations []string) error {
	_, err := tx.Exec(ctx,
		`SELECT 1
		 FROM gifts.gift_codes
		 WHERE reservation_transaction_id = ANY ($1::text[]) AND status = 'active'
		 ORDER BY id
		 FOR UPDATE`, reservations)
	return err
}

// WithdrawTx implements [creditcore.Gifts].
func (w withdrawals) WithdrawTx(ctx context.Context, tx pgx.Tx, reservation string) error {
	g, err := lockTx(ctx, tx, "reservation_transaction_id", reservation)
	if errors.Is(err, ErrNotFound) || err == nil && g.Status != StatusActive {
		return nil
	}
	if err != nil {
		return err
	}
	status := StatusCancelled
	if g.ClaimedPortions == 0 {
		status = StatusRefunded
	}
	if _, err = w.returnTx(ctx, tx, g, status, w.now()); err == nil {
		w.log.InfoContext(ctx, "a gift was cancelled: its credits were not paid for", "gift", g.ID, "user", g.CreatorID)
	}
	return err
}
