package billing

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

// subscriptionPlan is a plan on the wire.
type subscriptionPlan struct {
	ID                    string            `json:"id"`
	Name                  string            `json:"name"`
	Description           *string           `json:"description"`
	MonthlyCredits        creditcore.Amount `json:"monthlyCredits"`
	RolloverCredits       creditcore.Amount `json:"rolloverCredits,omitzero"` // what months leave to the next at most, a seat
	PerSeat               bool              `json:"perSeat,omitzero"`         // an organization pays for each member
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
	CreatedAt             endpoint.Time     `json:"createdAt"`
	UpdatedAt             endpoint.Time     `json:"updatedAt"`
}

func planOf(p catalog.Plan) subscriptionPlan {
	return subscriptionPlan{
		ID: p.ID, Name: p.Name, Description: p.Description, MonthlyCredits: p.MonthlyCredits,
		RolloverCredits: p.RolloverCredits, PerSeat: p.PerSeat,
		PriceMonthlyEuroCents: p.PriceMonthlyEuroCents, PriceYearlyEuroCents: p.PriceYearlyEuroCents,
		StripePriceIDMonthly: p.StripePriceIDMonthly, StripePriceIDYearly: p.StripePriceIDYearly,
		StripeProductID: p.StripeProductID, Features: p.Features, MaxTeamMembers: p.MaxTeamMembers,
		MaxOrganizations: p.MaxOrganizations, IsDefault: p.IsDefault, IsEnterprise: p.IsEnterprise, Active: p.Active,
		SortOrder: p.SortOrder, Metadata: p.Metadata, CreatedAt: endpoint.Time(p.CreatedAt), UpdatedAt: endpoint.Time(p.UpdatedAt),
	}
}

func plans(ctx context.Context, c *endpoint.Call, payments *billing.Service, _ endpoint.None) ([]subscriptionPlan, error) {
	found, err := payments.Plans(ctx)
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

func planByID(ctx context.Context, c *endpoint.Call, payments *billing.Service, req planRequest) (subscriptionPlan, error) {
	p, err := payments.Plan(ctx, req.PlanID)
	if err != nil {
		return subscriptionPlan{}, err
	}
	return planOf(p), nil
}

// subscription is a user's subscription on the wire.
type subscription struct {
	ID                   string             `json:"id"`
	UserID               string             `json:"userId,omitempty"`
	OrganizationID       string             `json:"organizationId,omitempty"` // in place of the user, whose it is
	PlanID               string             `json:"planId"`
	StripeSubscriptionID *string            `json:"stripeSubscriptionId"`
	StripeCustomerID     *string            `json:"stripeCustomerId"`
	StripePriceID        *string            `json:"stripePriceId"`
	Seats                int                `json:"seats,omitzero"` // of a plan by the seat
	Status               subscribing.Status `json:"status"`
	BillingInterval      catalog.Interval   `json:"billingInterval"`
	CurrentPeriodStart   *endpoint.Time     `json:"currentPeriodStart"`
	CurrentPeriodEnd     *endpoint.Time     `json:"currentPeriodEnd"`
	CancelAtPeriodEnd    bool               `json:"cancelAtPeriodEnd"`
	CanceledAt           *endpoint.Time     `json:"canceledAt"`
	EndedAt              *endpoint.Time     `json:"endedAt"`
	TrialStart           *endpoint.Time     `json:"trialStart"`
	TrialEnd             *endpoint.Time     `json:"trialEnd"`
	Metadata             json.RawMessage    `json:"metadata"`
	CreatedAt            endpoint.Time      `json:"createdAt"`
	UpdatedAt            endpoint.Time      `json:"updatedAt"`
}

type currentResponse struct {
	Plan         *subscriptionPlan `json:"plan"`
	Subscription *subscription     `json:"subscription"`
	IsFreePlan   bool              `json:"isFreePlan"`
}

type currentRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose subscription is wanted, as its owner or admin."`
}

func currentSubscription(ctx context.Context, c *endpoint.Call, payments *billing.Service, req currentRequest) (currentResponse, error) {
	buyer, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return currentResponse{}, err
	}
	now, err := payments.Current(ctx, buyer)
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
			CurrentPeriodStart: endpoint.TimeOf(s.CurrentPeriodStart), CurrentPeriodEnd: endpoint.TimeOf(s.CurrentPeriodEnd),
			CancelAtPeriodEnd: s.CancelAtPeriodEnd, CanceledAt: endpoint.TimeOf(s.CanceledAt), EndedAt: endpoint.TimeOf(s.EndedAt),
			OrganizationID: req.OrganizationID, TrialStart: endpoint.TimeOf(s.TrialStart), TrialEnd: endpoint.TimeOf(s.TrialEnd), Metadata: s.Metadata,
			CreatedAt: endpoint.Time(s.CreatedAt), UpdatedAt: endpoint.Time(s.UpdatedAt),
		}
	}
	if out.Subscription != nil && now.Plan != nil && now.Plan.PerSeat {
		out.Subscription.Seats = now.Subscription.Seats
	}
	if req.OrganizationID != "" && out.Subscription != nil {
		out.Subscription.UserID = ""
	}
	return out, nil
}
