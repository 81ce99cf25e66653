package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/dbscope"
)

// Status is Stripe's.
type Status string

// Statuses of a subscription.
const (
	Active            Status = "active"
	Trialing          Status = "trialing"
	PastDue           Status = "past_due"
	Unpaid            Status = "unpaid"
	Paused            Status = "paused"
	Incomplete        Status = "incomplete"
	IncompleteExpired Status = "incomplete_expired"
	Canceled          Status = "canceled"
)

// statusOf is Stripe's status, or unpaid for one that Stripe has invented since:
// such a subscription is shown and can be canceled, and offers nothing.
func statusOf(s stripe.SubscriptionStatus) Status {
	switch status := Status(s); status {
	case Active, Trialing, PastDue, Unpaid, Paused,
		Incomplete, IncompleteExpired, Canceled:
		return status
	}
	return Unpaid
}

// entitles reports whether the subscriber has what the plan offers. A payment
// that is late is tried again for a while.
func (s Status) entitles() bool {
	return s == Active || s == Trialing || s == PastDue
}

// Subscription is an account's subscription as Stripe last had it.
type Subscription struct {
	ID                   string
	UserID               string
	PlanID               string
	StripeSubscriptionID *string
	StripeCustomerID     *string
	StripePriceID        *string
	Seats                int // that are paid for: one, but of a plan by the seat
	Status               Status
	BillingInterval      catalog.Interval
	CurrentPeriodStart   *time.Time
	CurrentPeriodEnd     *time.Time
	CancelAtPeriodEnd    bool
	CanceledAt           *time.Time
	EndedAt              *time.Time
	TrialStart           *time.Time
	TrialEnd             *time.Time
	Metadata             json.RawMessage
	CreatedAt            time.Time
	UpdatedAt            time.Time
}

const subscriptionColumns = `id, user_id, plan_id, stripe_subscription_id, stripe_customer_id, stripe_price_id, seats, status,
	billing_interval, current_period_start, current_period_end, cancel_at_period_end, canceled_at, ended_at,
	trial_start, trial_end, metadata, created_at, updated_at`

// Current is what a user has.
type Current struct {
	// Plan is nil where the user has none and there is no default.
	Plan *catalog.Plan
	// Subscription is nil where none is alive.
	Subscription *Subscription
	// Free is set where the subscription, if any, does not entitle to its
	// plan: unpaid or paused. Plan is the default one then.
	Free bool
}

// Current is what the caller has: the plan of their subscription, else the
// default one.
func (s *Service) Current(ctx context.Context, c creditcore.Caller) (Current, error) {
	current := Current{Free: true}
	sub, err := s.liveSubscription(ctx, c)
	switch {
	case err == nil:
		current.Subscription = &sub
		current.Free = !sub.Status.entitles()
	case !errors.Is(err, ErrNoSubscription):
		return Current{}, err
	}
	if current.Free {
		current.Plan, err = s.catalog.DefaultPlan(ctx)
		return current, err
	}
	plan, err := s.catalog.Plan(ctx, sub.PlanID)
	current.Plan = &plan
	return current, err
}

// liveSubscription is the one that counts, or [ErrNoSubscription].
func (s *Service) liveSubscription(ctx context.Context, c creditcore.Caller) (Subscription, error) {
	sub, err := dbscope.One[Subscription](ctx, s.db, dbscope.User(c.UserID, c.Role), `
		SELECT `+subscriptionColumns+`
		FROM subscriptions.subscriptions
		WHERE user_id = $1
			AND live
			AND NOT surplus`, c.Account())
	if errors.Is(err, pgx.ErrNoRows) {
		return sub, ErrNoSubscription
	}
	return sub, err
}
