package billing

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	purchasing "mana.how/edge/creditcore/billing/purchase"
)

// buyRequest begins a purchase: with a return address on a page of Stripe, else
// with a payment that the client confirms by itself.
type buyRequest struct {
	PackageID      string          `json:"packageId" rule:"uuid"`
	OrganizationID *string         `json:"organizationId" rule:"optional,max=64,string" doc:"The organization to buy for, as its owner or admin; the caller where absent."`
	SuccessURL     *string         `json:"successUrl" rule:"optional,string,max=2000"`
	CancelURL      *string         `json:"cancelUrl" rule:"optional,string,max=2000"`
	SaveCard       *bool           `json:"saveCard" rule:"optional" doc:"Whether the card that pays is kept for the automatic top-up, in place of one that is. A bank account is not."`
	IdempotencyKey *string         `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage `json:"metadata" rule:"optional,object"` // taken and not kept
}

// buyResponse has either a client secret or the address of a page: two ways to
// pay for one purchase could both be taken.
type buyResponse struct {
	PurchaseID   string            `json:"purchaseId"`
	ClientSecret string            `json:"clientSecret"`
	Amount       int64             `json:"amount"` // cents
	Credits      creditcore.Amount `json:"credits"`
	CheckoutURL  string            `json:"checkoutUrl,omitempty"`
}

func buy(ctx context.Context, c *endpoint.Call, payments *billing.Service, req buyRequest) (buyResponse, error) {
	if req.SuccessURL != nil || req.CancelURL != nil {
		link, err := paymentLink(ctx, c, payments, paymentLinkRequest{
			PackageID: req.PackageID, OrganizationID: req.OrganizationID, SuccessURL: req.SuccessURL, CancelURL: req.CancelURL,
			SaveCard: req.SaveCard, IdempotencyKey: req.IdempotencyKey,
		})
		return buyResponse{PurchaseID: link.PurchaseID, Amount: link.Package.PriceEuroCents, Credits: link.Package.Credits, CheckoutURL: link.URL}, err
	}
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return buyResponse{}, err
	}
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return buyResponse{}, err
	}
	begun, err := payments.Buy(ctx, buyer, purchasing.Order{PackageID: req.PackageID, SaveCard: chosen(req.SaveCard), Key: key})
	if err != nil {
		return buyResponse{}, paymentError(err, nil)
	}
	if begun.Replayed {
		c.Replayed()
	}
	return buyResponse{
		PurchaseID: begun.PurchaseID, ClientSecret: begun.ClientSecret,
		Amount: begun.PriceEuroCents, Credits: begun.Credits,
	}, nil
}

// chosen is what a client says yes to; silence is no.
func chosen(yes *bool) bool { return yes != nil && *yes }

type paymentLinkRequest struct {
	PackageID      string  `json:"packageId" rule:"uuid"`
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization to buy for, as its owner or admin; the caller where absent."`
	SuccessURL     *string `json:"successUrl" rule:"optional,string,max=2000"`
	CancelURL      *string `json:"cancelUrl" rule:"optional,string,max=2000"`
	RoomID         *string `json:"roomId" rule:"optional,string,max=255"`
	SaveCard       *bool   `json:"saveCard" rule:"optional" doc:"Whether the card that pays is kept for the automatic top-up, in place of one that is. A bank account is not."`
	IdempotencyKey *string `json:"idempotencyKey" rule:"optional,key"`
}

type paymentLinkResponse struct {
	URL        string        `json:"url"`
	PurchaseID string        `json:"purchaseId"`
	ExpiresAt  endpoint.Time `json:"expiresAt"`
	Package    linkedPackage `json:"package"`
}

type linkedPackage struct {
	Name           string            `json:"name"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
}

func paymentLink(ctx context.Context, c *endpoint.Call, payments *billing.Service, req paymentLinkRequest) (paymentLinkResponse, error) {
	urls := map[string]*string{"successUrl": req.SuccessURL, "cancelUrl": req.CancelURL}
	if err := untrusted(payments, []string{"successUrl", "cancelUrl"}, urls); err != nil {
		return paymentLinkResponse{}, err
	}
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return paymentLinkResponse{}, err
	}
	buyer, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return paymentLinkResponse{}, err
	}
	link, err := payments.PaymentLink(ctx, buyer, purchasing.LinkOrder{
		PackageID: req.PackageID, SuccessURL: endpoint.TextOf(req.SuccessURL), CancelURL: endpoint.TextOf(req.CancelURL),
		RoomID: endpoint.TextOf(req.RoomID), SaveCard: chosen(req.SaveCard), Key: key,
	})
	if err != nil {
		return paymentLinkResponse{}, paymentError(err, urls)
	}
	if link.Replayed {
		c.Replayed()
	}
	return paymentLinkResponse{
		URL: link.URL, PurchaseID: link.PurchaseID, ExpiresAt: endpoint.Time(link.ExpiresAt),
		Package: linkedPackage{Name: link.PackageName, Credits: link.Credits, PriceEuroCents: link.PriceEuroCents},
	}, nil
}
