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
	BillingInterval *string `json:"billingInterval" rule:"optional,oneof=month|year"`
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
	opened, err := payments.Subscribe(ctx, c.Payer(), subscribing.Order{
		PlanID: req.PlanID, Interval: catalog.Interval(endpoint.TextOf(req.BillingInterval)),
		SuccessURL: req.SuccessURL, CancelURL: req.CancelURL,
	})
	if err != nil {
		return checkoutResponse{}, subscriptionError(err, urls)
	}
	return checkoutResponse{SessionID: opened.SessionID, URL: opened.URL}, nil
}

type portalRequest struct {
	ReturnURL string `json:"returnUrl" rule:"upto=2000"`
}

type portalResponse struct {
	URL string `json:"url"`
}

func portal(ctx context.Context, c *endpoint.Call, payments *billing.Service, req portalRequest) (portalResponse, error) {
	urls := map[string]*string{"returnUrl": &req.ReturnURL}
	if err := untrusted(payments, []string{"returnUrl"}, urls); err != nil {
		return portalResponse{}, err
	}
	url, err := payments.Portal(ctx, c.Payer(), req.ReturnURL)
	if err != nil {
		return portalResponse{}, subscriptionError(err, urls)
	}
	return portalResponse{URL: url}, nil
}

type canceledResponse struct {
	Success           bool `json:"success"`
	CancelAtPeriodEnd bool `json:"cancelAtPeriodEnd"`
}

func cancelSubscription(ctx context.Context, c *endpoint.Call, payments *billing.Service, _ endpoint.None) (canceledResponse, error) {
	if err := payments.Cancel(ctx, c.Payer()); err != nil {
		return canceledResponse{}, subscriptionError(err, nil)
	}
	return canceledResponse{Success: true, CancelAtPeriodEnd: true}, nil
}

type reactivatedResponse struct {
	Success bool `json:"success"`
}

func reactivateSubscription(ctx context.Context, c *endpoint.Call, payments *billing.Service, _ endpoint.None) (reactivatedResponse, error) {
	if err := payments.Reactivate(ctx, c.Payer()); err != nil {
		return reactivatedResponse{}, subscriptionError(err, nil)
	}
	return reactivatedResponse{Success: true}, nil
}
