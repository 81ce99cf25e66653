package billing

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// EraseTx forgets the address of a customer who leaves. Stripe's id of them
// stays, to end what they subscribed to.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx,
		`UPDATE credits.stripe_customers SET email = NULL, updated_at = now()
		 WHERE user_id = $1 AND email IS NOT NULL`, userID)
	return err
}
