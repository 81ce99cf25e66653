package purchase

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

const (
	// mostOpen bounds the purchases that a user has begun within openWindow and
	// not paid for: each is an object at Stripe.
	mostOpen   = 10
	openWindow = time.Hour
)

// OpenPurchasesError refuses another purchase to a user who has begun too many
// and paid for none of them.
type OpenPurchasesError struct{ RetryAfter time.Duration }

func (e *OpenPurchasesError) Error() string { return "Too many open purchases" }

// lockBuyer makes the purchases that a user begins follow one another.
func lockBuyer(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `
		SELECT
		FROM credits.stripe_customers
		WHERE user_id = $1
		FOR UPDATE`, userID)
	return err
}

// checkOpen fails with an [*OpenPurchasesError]. A key that stands for a
// purchase opens no other.
func checkOpen(ctx context.Context, tx pgx.Tx, userID, key string, now time.Time) error {
	type oldest struct{ CreatedAt time.Time }
	bound, err := dbscope.TxRow[oldest](ctx, tx, `
		SELECT p.created_at
		FROM credits.purchases p
		WHERE p.user_id = @user_id
			AND p.status = 'pending'
			AND p.created_at > @since
			AND NOT EXISTS (
				SELECT
				FROM credits.purchases k
				WHERE k.user_id = @user_id
					AND k.idempotency_key = nullif(@key, ''))
		ORDER BY p.created_at DESC
		OFFSET @offset
		LIMIT 1`, pgx.StrictNamedArgs{
		"user_id": userID, "since": now.Add(-openWindow), "key": key, "offset": mostOpen - 1,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return &OpenPurchasesError{RetryAfter: max(time.Second, bound.CreatedAt.Add(openWindow).Sub(now))}
}
