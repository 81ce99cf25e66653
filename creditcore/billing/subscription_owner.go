package billing

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// owner is the user whom a customer of Stripe stands for.
type owner struct {
	UserID string
	// Removed is set where he closed his account: nothing is granted to him.
	Removed bool
}

// ownerOf fails with errUnknownCustomer.
func (s *Service) ownerOf(ctx context.Context, customerID string) (owner, error) {
	o, err := dbscope.One[owner](ctx, s.db, system(), `
		SELECT c.user_id,
			u.deleted_at IS NOT NULL AS removed
		FROM credits.stripe_customers c
		JOIN auth.users u ON u.id = c.user_id
		WHERE c.stripe_customer_id = $1`, customerID)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, errUnknownCustomer
	}
	return o, err
}

// lockSubscriber makes everything about a user's subscriptions wait in line.
// It comes before the lock of his account.
func lockSubscriber(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('subscriptions:' || $1, 0))`, userID)
	return err
}

// bring makes an effect and applies it, anew while rows move in between. A
// nil effect is nothing to do.
func (s *Service) bring(ctx context.Context, makes func(context.Context) (effect, error)) error {
	for range attempts {
		apply, err := makes(ctx)
		if err != nil || apply == nil {
			return err
		}
		if err = s.inTx(ctx, apply); !errors.Is(err, errStale) {
			return err
		}
	}
	return errStale
}
