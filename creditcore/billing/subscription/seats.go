package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// MaxSeats bounds the seats of one subscription.
const MaxSeats = 100

// SeatsTakenError means that an organisation has more members than it would have
// seats.
type SeatsTakenError struct{ Members int }

func (e *SeatsTakenError) Error() string {
	return fmt.Sprintf("The organization has %d members: fewer seats are too few", e.Members)
}

// SetSeats changes how many seats an organisation pays for, from now on: what is more
// is paid and granted at once, what is less is credited to the next invoices. Where the
// payment fails nothing changes. It fails with [stripeapi.ErrNotConfigured],
// [ErrNoSubscription], [ErrNotPerSeat], a [*SeatsTakenError], [ErrSubscriptionChange]
// or a [*stripeapi.PaymentError].
func (s *Service) SetSeats(ctx context.Context, c creditcore.Caller, seats int) error {
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	sub, err := s.liveSubscription(ctx, c)
	if err != nil {
		return err
	}
	if sub.StripeSubscriptionID == nil {
		return ErrNoSubscription
	}
	plan, err := s.catalog.Plan(ctx, sub.PlanID)
	if err != nil {
		return err
	}
	if err := checkSeats(c, plan, seats); err != nil {
		return err
	}
	if err := s.leaveSeats(ctx, c.Organization, sub.ID, seats); err != nil {
		return err
	}
	id := *sub.StripeSubscriptionID
	err = s.change(ctx, id, ErrNoSubscription, func(ctx context.Context) (*stripe.SubscriptionUpdateParams, error) {
		now, err := s.fetch(ctx, id)
		if err != nil {
			return nil, err
		}
		item, _, err := s.planItem(ctx, now)
		if err != nil {
			return nil, err
		}
		return &stripe.SubscriptionUpdateParams{
			Items:             []*stripe.SubscriptionUpdateItemParams{{ID: stripe.String(item.ID), Quantity: stripe.Int64(int64(seats))}},
			ProrationBehavior: stripe.String("always_invoice"),
			PaymentBehavior:   stripe.String("error_if_incomplete"),
		}, nil
	})
	if err != nil && !errors.Is(err, ErrNoSubscription) { // Stripe says how many there are
		if failed := s.refresh(context.WithoutCancel(ctx), id); failed != nil {
			s.log.WarnContext(ctx, "a subscription whose seats did not change is not brought up to date", "subscription", id, "error", failed)
		}
	}
	return err
}

// checkSeats fails with [ErrNotPerSeat] where the caller cannot have so many.
func checkSeats(c creditcore.Caller, plan catalog.Plan, seats int) error {
	if seats < 1 || seats > MaxSeats || seats > 1 && (!plan.PerSeat || c.Organization == "") {
		return ErrNotPerSeat
	}
	return nil
}

// seatsOf is how many seats an order is for: as many as the organisation has members
// where it does not say, one of what is not sold by the seat.
func (s *Service) seatsOf(ctx context.Context, c creditcore.Caller, plan catalog.Plan, wanted int) (int, error) {
	members := 1
	if plan.PerSeat && c.Organization != "" {
		var err error
		if members, err = s.Members(ctx, c.Organization); err != nil {
			return 0, err
		}
	}
	switch {
	case wanted == 0:
		return members, nil
	case wanted < members:
		return 0, &SeatsTakenError{members}
	}
	return wanted, checkSeats(c, plan, wanted)
}

const membersSQL = `SELECT count(*) AS n FROM auth.members AS m WHERE m.organization_id = $1`

type counted struct{ N int }

// Members is how many members an organisation has.
func (s *Service) Members(ctx context.Context, organizationID string) (int, error) {
	row, err := dbscope.One[counted](ctx, s.db, dbscope.System(), membersSQL, organizationID)
	return row.N, err
}

// leaveSeats notes that an organisation will have fewer seats, so that nobody takes
// one that goes. More seats are noted when Stripe has agreed.
func (s *Service) leaveSeats(ctx context.Context, organizationID, subscriptionID string, seats int) error {
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM auth.organizations AS o WHERE o.id = $1 FOR NO KEY UPDATE`, organizationID); err != nil {
			return err
		}
		row, err := dbscope.TxRow[counted](ctx, tx, membersSQL, organizationID)
		if err != nil {
			return err
		}
		if row.N > seats {
			return &SeatsTakenError{row.N}
		}
		_, err = tx.Exec(ctx, `UPDATE subscriptions.subscriptions SET seats = least(seats, $2) WHERE id = $1`, subscriptionID, seats)
		return err
	})
}

// SeatsTx is how many members an organisation may have by what it pays for; zero is
// any number. It is read under the lock of the organisation.
func (s *Service) SeatsTx(ctx context.Context, tx pgx.Tx, organizationID string) (int, error) {
	row, err := dbscope.TxRow[counted](ctx, tx, `
		SELECT coalesce(min(s.seats), 0) AS n
		FROM subscriptions.subscriptions s
		JOIN subscriptions.plans p ON p.id = s.plan_id
		WHERE s.user_id = $1
			AND s.live
			AND NOT s.surplus
			AND s.status IN ('active', 'trialing', 'past_due')
			AND p.per_seat`, creditcore.OrganizationAccount(organizationID))
	return row.N, err
}
