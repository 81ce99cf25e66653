package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// SubscriptionEvent handles what happens to a subscription.
func (s *Service) SubscriptionEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil {
		return nil, err
	}
	return s.effect(ctx, o.ID)
}

// subscriptionRow is what is stored of a subscription of Stripe.
type subscriptionRow struct {
	Subscription
	// Revision is that of our row when Stripe was asked, 0 where there was
	// none.
	Revision int64
}

// effect asks Stripe for a subscription and makes the effect that
// stores it; one of ours that Stripe does not know has ended. It is nil for one
// of an unknown customer, for one that neither knows, and for one at a price
// that is none of our plans': such are of other products of the same account,
// or a plan lacks its price id.
func (s *Service) effect(ctx context.Context, id string) (settle.Effect, error) {
	known, err := s.subscriptionRevision(ctx, id)
	if err != nil {
		return nil, err
	}
	sub, err := s.fetch(ctx, id)
	if stripeapi.Missing(err) && known.Revision > 0 {
		return func(ctx context.Context, tx pgx.Tx) error { return s.endMissing(ctx, tx, id, known) }, nil
	}
	if stripeapi.Missing(err) {
		return nil, nil //nolint:nilnil // a nil effect is a documented answer
	}
	if err != nil {
		return nil, err
	}
	if sub.Customer == nil {
		return nil, nil //nolint:nilnil // see above
	}
	of, err := s.stripe.OwnerOf(ctx, sub.Customer.ID)
	if errors.Is(err, stripeapi.ErrUnknownCustomer) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, err
	}
	now, err := s.rowOfSubscription(ctx, sub, of)
	if err != nil {
		return nil, err
	}
	now.Revision = known.Revision
	if now.PlanID == "" {
		s.log.WarnContext(ctx, "a subscription is at a price of no plan", "subscription", id, "user", of.UserID, "price", *now.StripePriceID)
		if now.PlanID = known.PlanID; known.PlanID == "" {
			return nil, nil //nolint:nilnil // see above
		}
	}
	return func(ctx context.Context, tx pgx.Tx) error { return s.storeSubscription(ctx, tx, now) }, nil
}

func (s *Service) fetch(ctx context.Context, id string) (*stripe.Subscription, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	sub, err := s.stripe.V1Subscriptions.Retrieve(ctx, id, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch subscription %s: %w", id, err)
	}
	return sub, nil
}

// rowOfSubscription finds the plan by the price of an item: by the first that
// is one of ours. PlanID is empty where none is.
func (s *Service) rowOfSubscription(ctx context.Context, sub *stripe.Subscription, of stripeapi.Owner) (subscriptionRow, error) {
	item, plan, err := s.planItem(ctx, sub)
	if err != nil {
		return subscriptionRow{}, err
	}
	metadata, err := stripeapi.Metadata(sub.Metadata)
	if err != nil {
		return subscriptionRow{}, err
	}
	r := subscriptionRow{Subscription: Subscription{
		UserID: of.UserID, PlanID: plan.PlanID,
		StripeSubscriptionID: &sub.ID, StripeCustomerID: &sub.Customer.ID, StripePriceID: new(string), Seats: int(max(1, item.Quantity)),
		Status: statusOf(sub.Status), BillingInterval: catalog.Monthly,
		CurrentPeriodStart: stripeapi.Time(item.CurrentPeriodStart), CurrentPeriodEnd: stripeapi.Time(item.CurrentPeriodEnd),
		CancelAtPeriodEnd: endsWithPeriod(sub, item),
		CanceledAt:        stripeapi.Time(sub.CanceledAt), EndedAt: stripeapi.Time(sub.EndedAt),
		TrialStart: stripeapi.Time(sub.TrialStart), TrialEnd: stripeapi.Time(sub.TrialEnd),
		Metadata: metadata, CreatedAt: time.Unix(sub.Created, 0),
	}}
	if item.Price != nil {
		*r.StripePriceID = item.Price.ID
		if item.Price.Recurring != nil {
			r.BillingInterval = catalog.Interval(item.Price.Recurring.Interval)
		}
	}
	return r, nil
}

// planItem is the item that is a plan of ours, else the first, which is empty
// where there is none.
func (s *Service) planItem(ctx context.Context, sub *stripe.Subscription) (stripe.SubscriptionItem, catalog.PlanPrice, error) {
	var items []*stripe.SubscriptionItem
	if sub.Items != nil {
		items = sub.Items.Data
	}
	var ids []string
	for _, item := range items {
		if item.Price != nil {
			ids = append(ids, item.Price.ID)
		}
	}
	prices, err := s.catalog.Prices(ctx, ids)
	if err != nil {
		return stripe.SubscriptionItem{}, catalog.PlanPrice{}, err
	}
	for _, item := range items {
		if item.Price == nil {
			continue
		}
		if plan, ok := prices[item.Price.ID]; ok {
			return *item, plan, nil
		}
	}
	if len(items) > 0 {
		return *items[0], catalog.PlanPrice{}, nil
	}
	return stripe.SubscriptionItem{}, catalog.PlanPrice{}, nil
}

// endsWithPeriod reports whether a subscription is not renewed. The portal may
// say so by a date.
func endsWithPeriod(sub *stripe.Subscription, item stripe.SubscriptionItem) bool {
	return sub.CancelAtPeriodEnd || sub.CancelAt != 0 && sub.CancelAt <= item.CurrentPeriodEnd
}
