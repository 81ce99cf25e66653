package stripeapi

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// CustomerOwner is who buys, and the customer at Stripe of the account they buy
// for.
type CustomerOwner struct {
	Email string
	// CustomerID is empty where there is none in the mode of our key.
	CustomerID string
}

// CustomerOwner reads a caller's address and the customer of their account. It
// fails with [ErrUserNotFound] where one of them is gone.
func (s *Client) CustomerOwner(ctx context.Context, c creditcore.Caller) (CustomerOwner, error) {
	owner, err := dbscope.One[CustomerOwner](ctx, s.db, dbscope.System(), `
		SELECT u.email,
			coalesce(c.stripe_customer_id, '') AS customer_id
		FROM auth.users u
		LEFT JOIN credits.stripe_customers c ON c.user_id = $3
			AND coalesce(c.livemode, $2) = $2
		WHERE u.id = $1
			AND u.deleted_at IS NULL
			AND `+functions.Schema+`.lives($3)`, c.UserID, s.live, c.Account())
	if errors.Is(err, pgx.ErrNoRows) {
		return owner, ErrUserNotFound
	}
	return owner, err
}

// storeCustomer remembers a customer unless another one was remembered first,
// and returns the one that counts. The one named gone, and one of the other
// mode, give way.
func (s *Client) storeCustomer(ctx context.Context, userID, customerID, email, gone string) (string, error) {
	stored, err := dbscope.One[struct{ CustomerID string }](ctx, s.db, dbscope.System(), `
		INSERT INTO credits.stripe_customers AS c (user_id, stripe_customer_id, email, livemode)
		VALUES (@user_id, @customer_id, nullif(@email, ''), @live)
		ON CONFLICT (user_id) DO UPDATE
		SET email = excluded.email, livemode = excluded.livemode, updated_at = now(),
			stripe_customer_id = CASE
				WHEN c.stripe_customer_id = @gone OR c.livemode <> @live THEN excluded.stripe_customer_id
				ELSE c.stripe_customer_id END
		RETURNING c.stripe_customer_id AS customer_id`, pgx.StrictNamedArgs{
		"user_id": userID, "customer_id": customerID, "email": email, "live": s.live, "gone": gone,
	})
	return stored.CustomerID, err
}

// Owner is whose account a customer of Stripe stands for.
type Owner struct {
	UserID string
	// Removed is set where they closed it: nothing is granted to them.
	Removed bool
}

// OwnerOf fails with [ErrUnknownCustomer].
func (s *Client) OwnerOf(ctx context.Context, customerID string) (Owner, error) {
	o, err := dbscope.One[Owner](ctx, s.db, dbscope.System(), `
		SELECT c.user_id,
			NOT `+functions.Schema+`.lives(c.user_id) AS removed
		FROM credits.stripe_customers c
		WHERE c.stripe_customer_id = $1`, customerID)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, ErrUnknownCustomer
	}
	return o, err
}

// CustomerOf is empty where a user never was a customer. They may be gone.
func (s *Client) CustomerOf(ctx context.Context, userID string) (string, error) {
	found, err := dbscope.List[struct{ CustomerID string }](ctx, s.db, dbscope.System(), `
		SELECT stripe_customer_id AS customer_id
		FROM credits.stripe_customers
		WHERE user_id = $1
			AND coalesce(livemode, $2) = $2`, userID, s.live)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].CustomerID, nil
}
