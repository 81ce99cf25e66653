package api

import (
	"context"
	"encoding/json"

	invoicing "mana.how/edge/creditcore/billing/invoice"
)

// invoice is a bill on the wire.
type invoice struct {
	ID                  string          `json:"id"`
	UserID              string          `json:"userId"`
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
	PeriodStart         *instant        `json:"periodStart"`
	PeriodEnd           *instant        `json:"periodEnd"`
	DueDate             *instant        `json:"dueDate"`
	PaidAt              *instant        `json:"paidAt"`
	Metadata            json.RawMessage `json:"metadata"`
	CreatedAt           instant         `json:"createdAt"`
}

type invoicesRequest struct {
	Limit *int `query:"limit" rule:"optional"`
}

// invoices lists bills. A limit out of range is moved into it; one that is no
// number is refused.
func invoices(ctx context.Context, c *call, req invoicesRequest) ([]invoice, error) {
	limit := invoicing.DefaultInvoices
	if req.Limit != nil {
		limit = *req.Limit
	}
	found, err := c.credits.Billing.Invoices(ctx, c.payer(), limit)
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
			PeriodStart: instantOf(v.PeriodStart), PeriodEnd: instantOf(v.PeriodEnd), DueDate: instantOf(v.DueDate),
			PaidAt: instantOf(v.PaidAt), Metadata: v.Metadata, CreatedAt: instant(v.CreatedAt),
		}
	}
	return list, nil
}
