package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	purchasing "mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// paymentRoutes are those of packages and purchases.
func paymentRoutes() []*route {
	const v1 = "/api/v1/credits"
	table := []*route{
		get(v1+"/packages", handle(packages), rule{summary: "What is for sale", access: anyone}),
		get(v1+"/purchases", handle(purchases), rule{summary: "The caller's purchases, newest first", access: user}),
		get(v1+"/purchase/{purchaseId}", handle(purchase), rule{summary: "One of the caller's purchases",
			access: user, faults: paymentFaults}),
		post(v1+"/purchase", handle(buy), rule{summary: "Begin a purchase that the client pays for",
			status: http.StatusCreated, access: user, limit: perMinute(600), faults: paymentFaults,
			refusals: []*problem{tooManyOpen(time.Hour)}}),
		post(v1+"/payment-link", handle(paymentLink), rule{summary: "Begin a purchase on a page of Stripe",
			status: http.StatusCreated, access: user, limit: perMinute(600), faults: paymentFaults,
			refusals: []*problem{tooManyOpen(time.Hour)}}),
	}
	return append(table, webhookRoutes()...)
}

// paymentFaults word what billing refuses.
var paymentFaults = []fault{
	{catalog.ErrPackageNotFound, &problem{status: 404, code: "PACKAGE_NOT_FOUND", text: "Package not found or inactive"}},
	{purchasing.ErrNotFound, &problem{status: 404, code: "PURCHASE_NOT_FOUND", text: "Purchase not found"}},
	{stripeapi.ErrUserNotFound, &problem{status: 404, code: "USER_NOT_FOUND", text: "User not found"}},
	{stripeapi.ErrNotConfigured, &problem{status: 503, code: "STRIPE_NOT_CONFIGURED", text: "Stripe is not configured"}},
	{stripeapi.ErrCustomer, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create payment customer"}},
	{purchasing.ErrIntent, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create payment intent"}},
	{stripeapi.ErrCheckout, &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: "Failed to create checkout session"}},
}

// paymentProblem words the refusals that carry a text of their own.
func paymentProblem(err error, urls map[string]*string) error {
	var refused *stripeapi.PaymentError
	var address *stripeapi.ReturnURLError
	var open *purchasing.OpenPurchasesError
	switch {
	case errors.As(err, &open):
		return tooManyOpen(open.RetryAfter)
	case errors.As(err, &refused):
		return &problem{status: 503, code: "PAYMENT_SERVICE_ERROR", text: refused.Error()}
	case errors.As(err, &address):
		return refusedReturn(address, urls[address.Field])
	}
	return err
}

// tooManyOpen refuses a purchase beside others that nobody pays for.
func tooManyOpen(wait time.Duration) *problem {
	return &problem{status: http.StatusTooManyRequests, code: "TOO_MANY_OPEN_PURCHASES",
		text: "Too many open purchases: rate limit exceeded, pay for one or try again later", retry: wait}
}

// refusedReturn tells what is no web address at all from one that is not
// trusted.
func refusedReturn(err *stripeapi.ReturnURLError, sent *string) *problem {
	text := err.Error()
	if sent == nil || !isURL(*sent, true) {
		text = err.Field + " must be a URL address"
	}
	return invalid([]bodyFault{{err.Field, "url", text}})
}

// forSale is a package on the wire.
type forSale struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	Description    *string           `json:"description"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
	StripePriceID  *string           `json:"stripePriceId"`
	Active         bool              `json:"active"`
	SortOrder      int32             `json:"sortOrder"`
	Metadata       json.RawMessage   `json:"metadata"`
	CreatedAt      instant           `json:"createdAt"`
	UpdatedAt      instant           `json:"updatedAt"`
}

func packages(ctx context.Context, c *call, _ none) ([]forSale, error) {
	found, err := c.credits.Billing.Packages(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]forSale, len(found))
	for i, p := range found {
		list[i] = forSale{
			ID: p.ID, Name: p.Name, Description: p.Description, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
			StripePriceID: p.StripePriceID, Active: p.Active, SortOrder: p.SortOrder, Metadata: p.Metadata,
			CreatedAt: instant(p.CreatedAt), UpdatedAt: instant(p.UpdatedAt),
		}
	}
	return list, nil
}

// sold is a purchase on the wire, in a list.
type sold struct {
	ID                    string            `json:"id"`
	UserID                string            `json:"userId"`
	PackageID             *string           `json:"packageId"`
	Credits               creditcore.Amount `json:"credits"`
	PriceEuroCents        int64             `json:"priceEuroCents"`
	StripePaymentIntentID *string           `json:"stripePaymentIntentId"`
	StripeCustomerID      *string           `json:"stripeCustomerId"`
	Status                purchasing.Status `json:"status"`
	Metadata              json.RawMessage   `json:"metadata"`
	CreatedAt             instant           `json:"createdAt"`
	CompletedAt           *instant          `json:"completedAt"`
}

func purchases(ctx context.Context, c *call, _ none) ([]sold, error) {
	found, err := c.credits.Billing.Purchases(ctx, c.payer())
	if err != nil {
		return nil, err
	}
	list := make([]sold, len(found))
	for i, p := range found {
		list[i] = sold{
			ID: p.ID, UserID: p.UserID, PackageID: p.PackageID, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
			StripePaymentIntentID: p.StripePaymentIntentID, StripeCustomerID: p.StripeCustomerID, Status: p.Status,
			Metadata: p.Metadata, CreatedAt: instant(p.CreatedAt), CompletedAt: instantOf(p.CompletedAt),
		}
	}
	return list, nil
}

type purchaseRequest struct {
	PurchaseID string `path:"purchaseId" rule:"string"`
}

type purchaseResponse struct {
	ID             string            `json:"id"`
	Status         purchasing.Status `json:"status"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
	CreatedAt      instant           `json:"createdAt"`
	CompletedAt    *instant          `json:"completedAt"`
}

func purchase(ctx context.Context, c *call, req purchaseRequest) (purchaseResponse, error) {
	p, err := c.credits.Billing.Purchase(ctx, c.payer(), req.PurchaseID)
	if err != nil {
		return purchaseResponse{}, err
	}
	return purchaseResponse{
		ID: p.ID, Status: p.Status, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
		CreatedAt: instant(p.CreatedAt), CompletedAt: instantOf(p.CompletedAt),
	}, nil
}
