package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

const (
	// planLife is how long it is believed what a user is subscribed to.
	planLife = 10 * time.Second
	// mostPlansKnown bounds the users whose plan is known at once.
	mostPlansKnown = 100_000
)

// PlanOf is the name of the plan that a user is subscribed to, as it was up to ten
// seconds ago; empty for none. A subscription whose payment is late counts, one that is
// unpaid or paused does not.
func (s *Service) PlanOf(ctx context.Context, userID string) (string, error) {
	return s.plans.get(ctx, userID, func(ctx context.Context, userID string) (string, time.Duration, error) {
		plan, err := dbscope.One[struct{ Name string }](ctx, s.db, dbscope.System(),
			`SELECT p.name
			 FROM subscriptions.subscriptions AS s
			 JOIN subscriptions.plans AS p ON p.id = s.plan_id
			 WHERE s.user_id = $1 AND s.live AND NOT s.surplus AND s.status IN ('active', 'trialing', 'past_due')`, userID)
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return plan.Name, planLife, err
	})
}

// PriceFor is the price of a name for a user. It fails with [ErrPriceUnknown], and where
// the price asks for the user's plan, with an error of the database.
func (s *Service) PriceFor(ctx context.Context, userID, name string) (Price, error) {
	price, err := s.Prices().Named(name)
	if err != nil || len(price.Plans) == 0 {
		return price, err
	}
	plan, err := s.PlanOf(ctx, userID)
	return price.For(plan), err
}
