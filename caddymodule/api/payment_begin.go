package api

import (
	"context"
	"encoding/json"

	"mana.how/edge/creditcore"
	purchasing "mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
)

type buyRequest struct {
	PackageID      string          `json:"packageId" rule:"uuid"`
	IdempotencyKey *string         `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage `json:"metadata" rule:"optional,object"` // taken and not kept
}

type buyResponse struct {
	PurchaseID   string            `json:"purchaseId"`
	ClientSecret string            `json:"clientSecret"`
	Amount       int64             `json:"amount"` // cents
	Credits      creditcore.Amount `json:"credits"`
}

func buy(ctx context.Context, c *call, req buyRequest) (buyResponse, error) {
	key, err := c.idempotencyKey(req.IdempotencyKey)
	if err != nil {
		return buyResponse{}, err
	}
	begun, err := c.credits.Billing.Buy(ctx, c.payer(), purchasing.Order{PackageID: req.PackageID, Key: key})
	if err != nil {
		return buyResponse{}, paymentProblem(err, nil)
	}
	if begun.Replayed {
		c.replayed()
	}
	return buyResponse{
		PurchaseID: begun.PurchaseID, ClientSecret: begun.ClientSecret,
		Amount: begun.PriceEuroCents, Credits: begun.Credits,
	}, nil
}

type paymentLinkRequest struct {
	PackageID      string  `json:"packageId" rule:"uuid"`
	SuccessURL     *string `json:"successUrl" rule:"optional,string,max=2000"`
	CancelURL      *string `json:"cancelUrl" rule:"optional,string,max=2000"`
	RoomID         *string `json:"roomId" rule:"optional,string,max=255"`
	IdempotencyKey *string `json:"idempotencyKey" rule:"optional,key"`
}

type paymentLinkResponse struct {
	URL        string        `json:"url"`
	PurchaseID string        `json:"purchaseId"`
	ExpiresAt  instant       `json:"expiresAt"`
	Package    linkedPackage `json:"package"`
}

type linkedPackage struct {
	Name           string            `json:"name"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
}

func paymentLink(ctx context.Context, c *call, req paymentLinkRequest) (paymentLinkResponse, error) {
	urls := map[string]*string{"successUrl": req.SuccessURL, "cancelUrl": req.CancelURL}
	var faults []bodyFault
	for _, field := range []string{"successUrl", "cancelUrl"} {
		if raw := urls[field]; raw != nil && !c.credits.Billing.AllowsReturn(*raw) {
			faults = append(faults, bodyFault{field, "url", refusedReturn(&stripeapi.ReturnURLError{Field: field}, raw).Error()})
		}
	}
	if len(faults) > 0 {
		return paymentLinkResponse{}, invalid(faults)
	}
	key, err := c.idempotencyKey(req.IdempotencyKey)
	if err != nil {
		return paymentLinkResponse{}, err
	}
	link, err := c.credits.Billing.PaymentLink(ctx, c.payer(), purchasing.LinkOrder{
		PackageID: req.PackageID, SuccessURL: textOf(req.SuccessURL), CancelURL: textOf(req.CancelURL),
		RoomID: textOf(req.RoomID), Key: key,
	})
	if err != nil {
		return paymentLinkResponse{}, paymentProblem(err, urls)
	}
	if link.Replayed {
		c.replayed()
	}
	return paymentLinkResponse{
		URL: link.URL, PurchaseID: link.PurchaseID, ExpiresAt: instant(link.ExpiresAt),
		Package: linkedPackage{Name: link.PackageName, Credits: link.Credits, PriceEuroCents: link.PriceEuroCents},
	}, nil
}

// textOf is empty for nil.
func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
