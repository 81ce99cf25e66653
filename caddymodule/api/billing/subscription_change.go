package billing

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

type checkoutRequest struct {
	PlanID          string  `json:"planId" rule:"uuid"`
	OrganizationID  *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization to subscribe for, as its owner or admin; the caller where absent."`
	BillingInterval *string `json:"billingInterval" rule:"optional,oneof=month|year"`
	Seats           *int    `json:"seats" rule:"optional,integer,least=1,most=100" doc:"How many seats of a plan that an organization pays for by the seat; one for each member where absent."`
	SuccessURL      string  `json:"successUrl" rule:"upto=2000"`
	CancelURL       string  `json:"cancelUrl" rule:"upto=2000"`
}

type checkoutResponse struct {
	SessionID string `json:"sessionId"`
	URL       string `json:"url"`
}

func checkout(ctx context.Context, c *endpoint.Call, payments *billing.Service, req checkoutRequest) (checkoutResponse, error) {
	urls := map[string]*string{"successUrl": &req.SuccessURL, "cancelUrl": &req.CancelURL}
	if err := untrusted(payments, []string{"successUrl", "cancelUrl"}, urls); err != nil {
		return checkoutResponse{}, err
	}
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return checkoutResponse{}, err
	}
	order := subscribing.Order{
		PlanID: req.PlanID, Interval: catalog.Interval(endpoint.TextOf(req.BillingInterval)),
		SuccessURL: req.SuccessURL, CancelURL: req.CancelURL,
	}
	if req.Seats != nil {
		order.Seats = *req.Seats
	}
	opened, err := payments.Subscribe(ctx, buyer, order)
	if err != nil {
		return checkoutResponse{}, subscriptionError(err, urls)
	}
	return checkoutResponse{SessionID: opened.SessionID, URL: opened.URL}, nil
}

type seatsRequest struct {
	OrganizationID string `json:"organizationId" rule:"max=64,string" doc:"The organization, as its owner or admin."`
	Seats          int    `json:"seats" rule:"integer,least=1,most=100" doc:"How many it pays for from now on: as many as it has members, or more."`
}

type seatsResponse struct {
	Success bool `json:"success"`
	Seats   int  `json:"seats"`
}

func changeSeats(ctx context.Context, c *endpoint.Call, payments *billing.Service, req seatsRequest) (seatsResponse, error) {
	buyer, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return seatsResponse{}, err
	}
	if err := payments.SetSeats(ctx, buyer, req.Seats); err != nil {
		return seatsResponse{}, subscriptionError(err, nil)
	}
	return seatsResponse{Success: true, Seats: req.Seats}, nil
}

type portalRequest struct {
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose portal it is, as its owner or admin."`
	ReturnURL      string  `json:"returnUrl" rule:"upto=2000"`
}

type portalResponse struct {
	URL string `json:"url"`
}

func portal(ctx context.Context, c *endpoint.Call, payments *billing.Service, req portalRequest) (portalResponse, error) {
	urls := map[string]*string{"returnUrl": &req.ReturnURL}
	if err := untrusted(payments, []string{"returnUrl"}, urls); err != nil {
		return portalResponse{}, err
	}
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return portalResponse{}, err
	}
	url, err := payments.Portal(ctx, buyer, req.ReturnURL)
	if err != nil {
		return portalResponse{}, subscriptionError(err, urls)
	}
	return portalResponse{URL: url}, nil
}

type canceledResponse struct {
	Success           bool `json:"success"`
	CancelAtPeriodEnd bool `json:"cancelAtPeriodEnd"`
}

// subscriberRequest says whose subscription is meant.
type subscriberRequest struct {
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose subscription it is, as its owner or admin; the caller where absent."`
}

func cancelSubscription(ctx context.Context, c *endpoint.Call, payments *billing.Service, req subscriberRequest) (canceledResponse, error) {
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return canceledResponse{}, err
	}
	if err := payments.Cancel(ctx, buyer); err != nil {
		return canceledResponse{}, subscriptionError(err, nil)
	}
	return canceledResponse{Success: true, CancelAtPeriodEnd: true}, nil
}

type reactivatedResponse struct {
	Success bool `json:"success"`
}

func reactivateSubscription(ctx context.Context, c *endpoint.Call, payments *billing.Service, req subscriberRequest) (reactivatedResponse, error) {
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return reactivatedResponse{}, err
	}
	if err := payments.Reactivate(ctx, buyer); err != nil {
		return reactivatedResponse{}, subscriptionError(err, nil)
	}
	return reactivatedResponse{Success: true}, nil
}
