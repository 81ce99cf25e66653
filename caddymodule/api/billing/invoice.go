package billing

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/billing"
	invoicing "mana.how/edge/creditcore/billing/invoice"
)

// invoice is a bill on the wire.
type invoice struct {
	ID                  string          `json:"id"`
	UserID              string          `json:"userId,omitempty"`
	OrganizationID      string          `json:"organizationId,omitempty"` // in place of the user, whose it is
	SubscriptionID      *string         `json:"subscriptionId"`
	StripeInvoiceID     string          `json:"stripeInvoiceId"`
	StripeCustomerID    *string         `json:"stripeCustomerId"`
	Number              *string         `json:"number"`
	Status              string          `json:"status"`
	AmountDueEuroCents  int64           `json:"amountDueEuroCents"`
	AmountPaidEuroCents int64           `json:"amountPaidEuroCents"`
	Currency            string          `json:"currency"`
	HostedInvoiceURL    *string         `json:"hostedInvoiceUrl"`
	InvoicePDFURL       *string         `json:"invoicePdfUrl"`
	PeriodStart         *endpoint.Time  `json:"periodStart"`
	PeriodEnd           *endpoint.Time  `json:"periodEnd"`
	DueDate             *endpoint.Time  `json:"dueDate"`
	PaidAt              *endpoint.Time  `json:"paidAt"`
	Metadata            json.RawMessage `json:"metadata"`
	CreatedAt           endpoint.Time   `json:"createdAt"`
}

type invoicesRequest struct {
	Limit          *int   `query:"limit" rule:"optional"`
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose invoices are wanted, as its owner or admin."`
}

// invoices lists bills. A limit out of range is moved into it; one that is no
// number is refused.
func invoices(ctx context.Context, c *endpoint.Call, payments *billing.Service, req invoicesRequest) ([]invoice, error) {
	limit := invoicing.DefaultInvoices
	if req.Limit != nil {
		limit = *req.Limit
	}
	buyer, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return nil, err
	}
	found, err := payments.Invoices(ctx, buyer, limit)
	if err != nil {
		return nil, err
	}
	list := make([]invoice, len(found))
	for i, v := range found {
		list[i] = invoice{
			ID: v.ID, UserID: v.UserID, SubscriptionID: v.SubscriptionID, StripeInvoiceID: v.StripeInvoiceID,
			StripeCustomerID: v.StripeCustomerID, Number: v.Number, Status: v.Status,
			AmountDueEuroCents: v.AmountDueEuroCents, AmountPaidEuroCents: v.AmountPaidEuroCents, Currency: v.Currency,
			HostedInvoiceURL: v.HostedInvoiceURL, InvoicePDFURL: v.InvoicePDFURL,
			PeriodStart: endpoint.TimeOf(v.PeriodStart), PeriodEnd: endpoint.TimeOf(v.PeriodEnd), DueDate: endpoint.TimeOf(v.DueDate),
			PaidAt: endpoint.TimeOf(v.PaidAt), Metadata: v.Metadata, CreatedAt: endpoint.Time(v.CreatedAt),
		}
		if list[i].OrganizationID = req.OrganizationID; req.OrganizationID != "" {
			list[i].UserID = ""
		}
	}
	return list, nil
}
