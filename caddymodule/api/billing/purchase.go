package billing

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	purchasing "mana.how/edge/creditcore/billing/purchase"
)

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
	CreatedAt      endpoint.Time     `json:"createdAt"`
	UpdatedAt      endpoint.Time     `json:"updatedAt"`
}

func packages(ctx context.Context, c *endpoint.Call, payments *billing.Service, _ endpoint.None) ([]forSale, error) {
	found, err := payments.Packages(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]forSale, len(found))
	for i, p := range found {
		list[i] = forSale{
			ID: p.ID, Name: p.Name, Description: p.Description, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
			StripePriceID: p.StripePriceID, Active: p.Active, SortOrder: p.SortOrder, Metadata: p.Metadata,
			CreatedAt: endpoint.Time(p.CreatedAt), UpdatedAt: endpoint.Time(p.UpdatedAt),
		}
	}
	return list, nil
}

// sold is a purchase on the wire, in a list.
type sold struct {
	ID                    string            `json:"id"`
	UserID                string            `json:"userId"`
	OrganizationID        string            `json:"organizationId,omitempty"` // for which the user bought
	PackageID             *string           `json:"packageId"`
	Credits               creditcore.Amount `json:"credits"`
	PriceEuroCents        int64             `json:"priceEuroCents"`
	StripePaymentIntentID *string           `json:"stripePaymentIntentId"`
	StripeCustomerID      *string           `json:"stripeCustomerId"`
	Status                purchasing.Status `json:"status"`
	Metadata              json.RawMessage   `json:"metadata"`
	CreatedAt             endpoint.Time     `json:"createdAt"`
	CompletedAt           *endpoint.Time    `json:"completedAt"`
}

type purchasesRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose purchases are wanted, as its owner or admin."`
}

func purchases(ctx context.Context, c *endpoint.Call, payments *billing.Service, req purchasesRequest) ([]sold, error) {
	buyer, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return nil, err
	}
	found, err := payments.Purchases(ctx, buyer)
	if err != nil {
		return nil, err
	}
	list := make([]sold, len(found))
	for i, p := range found {
		list[i] = sold{
			ID: p.ID, UserID: p.UserID, OrganizationID: req.OrganizationID, PackageID: p.PackageID, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
			StripePaymentIntentID: p.StripePaymentIntentID, StripeCustomerID: p.StripeCustomerID, Status: p.Status,
			Metadata: p.Metadata, CreatedAt: endpoint.Time(p.CreatedAt), CompletedAt: endpoint.TimeOf(p.CompletedAt),
		}
		if p.BoughtBy != nil {
			list[i].UserID = *p.BoughtBy
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
	CreatedAt      endpoint.Time     `json:"createdAt"`
	CompletedAt    *endpoint.Time    `json:"completedAt"`
}

func purchase(ctx context.Context, c *endpoint.Call, payments *billing.Service, req purchaseRequest) (purchaseResponse, error) {
	p, err := payments.Purchase(ctx, c.Payer(), req.PurchaseID)
	if err != nil {
		return purchaseResponse{}, err
	}
	return purchaseResponse{
		ID: p.ID, Status: p.Status, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents,
		CreatedAt: endpoint.Time(p.CreatedAt), CompletedAt: endpoint.TimeOf(p.CompletedAt),
	}, nil
}
