package api

import (
	"context"
	"encoding/json"
	"net/http"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

// subscriptionRoutes are those of plans, subscriptions and invoices.
func subscriptionRoutes() []*route {
	const v1 = "/api/v1/subscriptions"
	stripe := func(summary string) rule {
		return rule{summary: summary, status: http.StatusCreated, access: user, limit: perMinute(600), faults: subscriptionFaults}
	}
	return []*route{
		get(v1+"/plans", handle(plans), rule{summary: "What can be subscribed to", access: anyone}),
		get(v1+"/plans/{planId}", handle(planByID), rule{summary: "One plan", access: anyone, faults: subscriptionFaults}),
		get(v1+"/current", handle(currentSubscription), rule{summary: "The caller's plan and subscription", access: user}),
		get(v1+"/invoices", handle(invoices), rule{summary: "The caller's invoices, newest first", access: user}),
		post(v1+"/checkout", handle(checkout), stripe("Begin a subscription on a page of Stripe")),
		post(v1+"/portal", handle(portal), stripe("Open Stripe's billing portal")),
		post(v1+"/cancel", handle(cancelSubscription), stripe("End the subscription with its period")),
		post(v1+"/reactivate", handle(reactivateSubscription), stripe("Take back a cancellation")),
	}
}

// subscriptionFaults word what billing refuses. Without Stripe these routes
// answer 400, unlike those of purchases.
var subscriptionFaults = []fault{
	{stripeapi.ErrNotConfigured, &problem{status: 400, code: "STRIPE_NOT_CONFIGURED", text: "Stripe is not configured"}},
	{catalog.ErrPlanNotFound, &problem{status: 404, code: "PLAN_NOT_FOUND", text: "Plan not found"}},
	{catalog.ErrNoMonthlyPrice, &problem{status: 400, code: "NO_PRICE", text: "No Stripe price configured for month billing"}},
	{catalog.ErrNoYearlyPrice, &problem{status: 400, code: "NO_PRICE", text: "No Stripe price configured for year billing"}},
	{stripeapi.ErrUserNotFound, &problem{status: 404, code: "USER_NOT_FOUND", text: "User not found"}},
	{subscribing.ErrNoBillingAccount, &problem{status: 400, code: "NO_BILLING_ACCOUNT",
		text: "No billing account found. Please subscribe to a plan first."}},
	{subscribing.ErrNoSubscription, &problem{status: 404, code: "SUBSCRIPTION_NOT_FOUND", text: "No active subscription found"}},
	{subscribing.ErrNotCanceled, &problem{status: 404, code: "SUBSCRIPTION_NOT_FOUND", text: "No canceled subscription found"}},
	{subscribing.ErrSubscribed, &problem{status: 409, code: "ALREADY_SUBSCRIBED",
		text: "You already have a subscription. Manage it in the billing portal."}},
	{stripeapi.ErrCustomer, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create payment customer"}},
	{stripeapi.ErrCheckout, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create checkout session"}},
	{subscribing.ErrPortal, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create portal session"}},
	{subscribing.ErrSubscriptionChange, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to update subscription"}},
}

// subscriptionPlan is a plan on the wire.
type subscriptionPlan struct {
	ID                    string            `json:"id"`
	Name                  string            `json:"name"`
	Description           *string           `json:"description"`
	MonthlyCredits        creditcore.Amount `json:"monthlyCredits"`
	PriceMonthlyEuroCents int64             `json:"priceMonthlyEuroCents"`
	PriceYearlyEuroCents  int64             `json:"priceYearlyEuroCents"`
	StripePriceIDMonthly  *string           `json:"stripePriceIdMonthly"`
	StripePriceIDYearly   *string           `json:"stripePriceIdYearly"`
	StripeProductID       *string           `json:"stripeProductId"`
	Features              []string          `json:"features"`
	MaxTeamMembers        *int32            `json:"maxTeamMembers"`
	MaxOrganizations      *int32            `json:"maxOrganizations"`
	IsDefault             bool              `json:"isDefault"`
	IsEnterprise          bool              `json:"isEnterprise"`
	Active                bool              `json:"active"`
	SortOrder             int32             `json:"sortOrder"`
	Metadata              json.RawMessage   `json:"metadata"`
	CreatedAt             instant           `json:"createdAt"`
	UpdatedAt             instant           `json:"updatedAt"`
}

func planOf(p catalog.Plan) subscriptionPlan {
	return subscriptionPlan{
		ID: p.ID, Name: p.Name, Description: p.Description, MonthlyCredits: p.MonthlyCredits,
		PriceMonthlyEuroCents: p.PriceMonthlyEuroCents, PriceYearlyEuroCents: p.PriceYearlyEuroCents,
		StripePriceIDMonthly: p.StripePriceIDMonthly, StripePriceIDYearly: p.StripePriceIDYearly,
		StripeProductID: p.StripeProductID, Features: p.Features, MaxTeamMembers: p.MaxTeamMembers,
		MaxOrganizations: p.MaxOrganizations, IsDefault: p.IsDefault, IsEnterprise: p.IsEnterprise, Active: p.Active,
		SortOrder: p.SortOrder, Metadata: p.Metadata, CreatedAt: instant(p.CreatedAt), UpdatedAt: instant(p.UpdatedAt),
	}
}

func plans(ctx context.Context, c *call, _ none) ([]subscriptionPlan, error) {
	found, err := c.credits.Billing.Plans(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]subscriptionPlan, len(found))
	for i, p := range found {
		list[i] = planOf(p)
	}
	return list, nil
}

type planRequest struct {
	PlanID string `path:"planId" rule:"string"`
}

func planByID(ctx context.Context, c *call, req planRequest) (subscriptionPlan, error) {
	p, err := c.credits.Billing.Plan(ctx, req.PlanID)
	if err != nil {
		return subscriptionPlan{}, err
	}
	return planOf(p), nil
}

// subscription is a user's subscription on the wire.
type subscription struct {
	ID                   string             `json:"id"`
	UserID               string             `json:"userId"`
	PlanID               string             `json:"planId"`
	StripeSubscriptionID *string            `json:"stripeSubscriptionId"`
	StripeCustomerID     *string            `json:"stripeCustomerId"`
	StripePriceID        *string            `json:"stripePriceId"`
	Status               subscribing.Status `json:"status"`
	BillingInterval      catalog.Interval   `json:"billingInterval"`
	CurrentPeriodStart   *instant           `json:"currentPeriodStart"`
	CurrentPeriodEnd     *instant           `json:"currentPeriodEnd"`
	CancelAtPeriodEnd    bool               `json:"cancelAtPeriodEnd"`
	CanceledAt           *instant           `json:"canceledAt"`
	EndedAt              *instant           `json:"endedAt"`
	TrialStart           *instant           `json:"trialStart"`
	TrialEnd             *instant           `json:"trialEnd"`
	Metadata             json.RawMessage    `json:"metadata"`
	CreatedAt            instant            `json:"createdAt"`
	UpdatedAt            instant            `json:"updatedAt"`
}

type currentResponse struct {
	Plan         *subscriptionPlan `json:"plan"`
	Subscription *subscription     `json:"subscription"`
	IsFreePlan   bool              `json:"isFreePlan"`
}

func currentSubscription(ctx context.Context, c *call, _ none) (currentResponse, error) {
	now, err := c.credits.Billing.Current(ctx, c.payer())
	if err != nil {
		return currentResponse{}, err
	}
	out := currentResponse{IsFreePlan: now.Free}
	if now.Plan != nil {
		p := planOf(*now.Plan)
		out.Plan = &p
	}
	if s := now.Subscription; s != nil {
		out.Subscription = &subscription{
			ID: s.ID, UserID: s.UserID, PlanID: s.PlanID, StripeSubscriptionID: s.StripeSubscriptionID,
			StripeCustomerID: s.StripeCustomerID, StripePriceID: s.StripePriceID, Status: s.Status,
			BillingInterval:    s.BillingInterval,
			CurrentPeriodStart: instantOf(s.CurrentPeriodStart), CurrentPeriodEnd: instantOf(s.CurrentPeriodEnd),
			CancelAtPeriodEnd: s.CancelAtPeriodEnd, CanceledAt: instantOf(s.CanceledAt), EndedAt: instantOf(s.EndedAt),
			TrialStart: instantOf(s.TrialStart), TrialEnd: instantOf(s.TrialEnd), Metadata: s.Metadata,
			CreatedAt: instant(s.CreatedAt), UpdatedAt: instant(s.UpdatedAt),
		}
	}
	return out, nil
}
