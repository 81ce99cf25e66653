package stripeapi

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// EraseTx forgets the address of a customer who leaves. Stripe's id of them
// stays, to end what they subscribed to.
func EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx,
		`UPDATE credits.stripe_customers SET email = NULL, updated_at = now()
		 WHERE user_id = $1 AND email IS NOT NULL`, userID)
	return err
}

// EraseClosed forgets the addresses of customers who closed their accounts.
func EraseClosed(ctx context.Context, db dbscope.DB, now time.Time) error {
	_, err := db.Exec(ctx, dbscope.System(), `
		UPDATE credits.stripe_customers c
		SET email = NULL, updated_at = $1
		FROM auth.users u
		WHERE u.id = c.user_id
			AND u.deleted_at IS NOT NULL
			AND c.email IS NOT NULL`, now)
	return err
}
