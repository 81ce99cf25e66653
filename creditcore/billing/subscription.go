package billing

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// SubscriptionStatus is Stripe's.
type SubscriptionStatus string

// Statuses of a subscription.
const (
	SubscriptionActive            SubscriptionStatus = "active"
	SubscriptionTrialing          SubscriptionStatus = "trialing"
	SubscriptionPastDue           SubscriptionStatus = "past_due"
	SubscriptionUnpaid            SubscriptionStatus = "unpaid"
	SubscriptionPaused            SubscriptionStatus = "paused"
	SubscriptionIncomplete        SubscriptionStatus = "incomplete"
	SubscriptionIncompleteExpired SubscriptionStatus = "incomplete_expired"
	SubscriptionCanceled          SubscriptionStatus = "canceled"
)

// statusOf is Stripe's status, or unpaid for one that Stripe has invented since:
// such a subscription is shown and can be canceled, and offers nothing.
func statusOf(s stripe.SubscriptionStatus) SubscriptionStatus {
	switch status := SubscriptionStatus(s); status {
	case SubscriptionActive, SubscriptionTrialing, SubscriptionPastDue, SubscriptionUnpaid, SubscriptionPaused,
		SubscriptionIncomplete, SubscriptionIncompleteExpired, SubscriptionCanceled:
		return status
	}
	return SubscriptionUnpaid
}

// entitles reports whether the subscriber has what the plan offers. A payment
// that is late is tried again for a while.
func (s SubscriptionStatus) entitles() bool {
	return s == SubscriptionActive || s == SubscriptionTrialing || s == SubscriptionPastDue
}

// Subscription is a user's subscription as Stripe last had it.
type Subscription struct {
	ID                   string
	UserID               string
	PlanID               string
	StripeSubscriptionID *string
	StripeCustomerID     *string
	StripePriceID        *string
	Status               SubscriptionStatus
	BillingInterval      Interval
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

const subscriptionColumns = `id, user_id, plan_id, stripe_subscription_id, stripe_customer_id, stripe_price_id, status,
	billing_interval, current_period_start, current_period_end, cancel_at_period_end, canceled_at, ended_at,
	trial_start, trial_end, metadata, created_at, updated_at`

// Current is what a user has.
type Current struct {
	// Plan is nil where the user has none and there is no default.
	Plan *Plan
	// Subscription is nil where none is alive.
	Subscription *Subscription
	// Free is set where the subscription, if any, does not entitle to its
	// plan: unpaid or paused. Plan is the default one then.
	Free bool
}

// Current is what the caller has: the plan of his subscription, else the
// default one.
func (s *subscriptionService) Current(ctx context.Context, c creditcore.Caller) (Current, error) {
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
func (s *subscriptionService) liveSubscription(ctx context.Context, c creditcore.Caller) (Subscription, error) {
	sub, err := dbscope.One[Subscription](ctx, s.db, dbscope.User(c.UserID, c.Role), `
		SELECT `+subscriptionColumns+`
		FROM subscriptions.subscriptions
		WHERE user_id = $1
			AND live
			AND NOT surplus`, c.UserID)
	if errors.Is(err, pgx.ErrNoRows) {
		return sub, ErrNoSubscription
	}
	return sub, err
}
