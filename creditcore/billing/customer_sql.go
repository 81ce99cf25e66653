package billing

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

type customerOwner struct {
	Email string
	// CustomerID is empty where there is none in the mode of our key.
	CustomerID string
}

// customerOwner reads a user and his customer. It fails with [ErrUserNotFound]
// for one who is gone.
func (s *Service) customerOwner(ctx context.Context, userID string) (customerOwner, error) {
	owner, err := dbscope.One[customerOwner](ctx, s.db, system(), `
		SELECT u.email,
			coalesce(c.stripe_customer_id, '') AS customer_id
		FROM auth.users u
		LEFT JOIN credits.stripe_customers c ON c.user_id = u.id
			AND coalesce(c.livemode, $2) = $2
		WHERE u.id = $1
			AND u.deleted_at IS NULL`, userID, s.cfg.live())
	if errors.Is(err, pgx.ErrNoRows) {
		return owner, ErrUserNotFound
	}
	return owner, err
}

// storeCustomer remembers a customer unless another one was remembered first,
// and returns the one that counts. The one named gone, and one of the other
// mode, give way.
func (s *Service) storeCustomer(ctx context.Context, userID, customerID, email, gone string) (string, error) {
	stored, err := dbscope.One[struct{ CustomerID string }](ctx, s.db, system(), `
		INSERT INTO credits.stripe_customers AS c (user_id, stripe_customer_id, email, livemode)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id) DO UPDATE
		SET email = excluded.email, livemode = excluded.livemode, updated_at = now(),
			stripe_customer_id = CASE
				WHEN c.stripe_customer_id = $5 OR c.livemode <> $4 THEN excluded.stripe_customer_id
				ELSE c.stripe_customer_id END
		RETURNING c.stripe_customer_id AS customer_id`, userID, customerID, email, s.cfg.live(), gone)
	return stored.CustomerID, err
}
