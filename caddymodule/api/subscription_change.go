package api

import (
	"context"
	"errors"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

// subscriptionProblem words the refusals that carry a text of their own. A
// refusal by Stripe is a 500 here.
func subscriptionProblem(err error, urls map[string]*string) error {
	var refused *stripeapi.PaymentError
	if errors.As(err, &refused) {
		return &problem{status: 500, code: "PAYMENT_SERVICE_ERROR", text: refused.Error()}
	}
	return paymentProblem(err, urls)
}

// untrusted lists what is wrong with the addresses of fields, in order.
func (c *call) untrusted(fields []string, urls map[string]*string) error {
	var faults []bodyFault
	for _, field := range fields {
		if !c.credits.Billing.AllowsReturn(*urls[field]) {
			faults = append(faults, bodyFault{field, "url", refusedReturn(&stripeapi.ReturnURLError{Field: field}, urls[field]).Error()})
		}
	}
	if len(faults) > 0 {
		return invalid(faults)
	}
	return nil
}

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

func checkout(ctx context.Context, c *call, req checkoutRequest) (checkoutResponse, error) {
	urls := map[string]*string{"successUrl": &req.SuccessURL, "cancelUrl": &req.CancelURL}
	if err := c.untrusted([]string{"successUrl", "cancelUrl"}, urls); err != nil {
		return checkoutResponse{}, err
	}
	opened, err := c.credits.Billing.Subscribe(ctx, c.payer(), subscribing.Order{
		PlanID: req.PlanID, Interval: catalog.Interval(textOf(req.BillingInterval)),
		SuccessURL: req.SuccessURL, CancelURL: req.CancelURL,
	})
	if err != nil {
		return checkoutResponse{}, subscriptionProblem(err, urls)
	}
	return checkoutResponse{SessionID: opened.SessionID, URL: opened.URL}, nil
}

type portalRequest struct {
	ReturnURL string `json:"returnUrl" rule:"upto=2000"`
}

type portalResponse struct {
	URL string `json:"url"`
}

func portal(ctx context.Context, c *call, req portalRequest) (portalResponse, error) {
	urls := map[string]*string{"returnUrl": &req.ReturnURL}
	if err := c.untrusted([]string{"returnUrl"}, urls); err != nil {
		return portalResponse{}, err
	}
	url, err := c.credits.Billing.Portal(ctx, c.payer(), req.ReturnURL)
	if err != nil {
		return portalResponse{}, subscriptionProblem(err, urls)
	}
	return portalResponse{URL: url}, nil
}

type canceledResponse struct {
	Success           bool `json:"success"`
	CancelAtPeriodEnd bool `json:"cancelAtPeriodEnd"`
}

func cancelSubscription(ctx context.Context, c *call, _ none) (canceledResponse, error) {
	if err := c.credits.Billing.Cancel(ctx, c.payer()); err != nil {
		return canceledResponse{}, subscriptionProblem(err, nil)
	}
	return canceledResponse{Success: true, CancelAtPeriodEnd: true}, nil
}

type reactivatedResponse struct {
	Success bool `json:"success"`
}

func reactivateSubscription(ctx context.Context, c *call, _ none) (reactivatedResponse, error) {
	if err := c.credits.Billing.Reactivate(ctx, c.payer()); err != nil {
		return reactivatedResponse{}, subscriptionProblem(err, nil)
	}
	return reactivatedResponse{Success: true}, nil
}
