package invoice

import (
	"context"
	"encoding/json"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Invoice is a bill for a subscription as Stripe last had it. Amounts are
// cents of its currency, which is the euro for all that we sell.
type Invoice struct {
	ID                  string
	UserID              string
	SubscriptionID      *string
	StripeInvoiceID     string
	StripeCustomerID    *string
	Number              *string
	Status              string // draft, open, paid, uncollectible or void
	AmountDueEuroCents  int64
	AmountPaidEuroCents int64
	Currency            string
	HostedInvoiceURL    *string
	InvoicePDFURL       *string
	PeriodStart         *time.Time
	PeriodEnd           *time.Time
	DueDate             *time.Time
	PaidAt              *time.Time
	Metadata            json.RawMessage
	CreatedAt           time.Time
}

const invoiceColumns = `id, user_id, subscription_id, stripe_invoice_id, stripe_customer_id, number, status,
	amount_due_euro_cents, amount_paid_euro_cents, currency, hosted_invoice_url AS "HostedInvoiceURL",
	invoice_pdf_url AS "InvoicePDFURL", period_start, period_end, due_date, paid_at, metadata, created_at`

// Bounds of a list of invoices.
const (
	DefaultInvoices = 20
	maxInvoices     = 100
)

// Invoices lists the caller's invoices, newest first: limit of them, moved
// into 1 to 100.
func (s *Service) Invoices(ctx context.Context, c creditcore.Caller, limit int) ([]Invoice, error) {
	return dbscope.List[Invoice](ctx, s.db, dbscope.User(c.UserID, c.Role), `
		SELECT `+invoiceColumns+`
		FROM subscriptions.invoices
		WHERE user_id = $1
		ORDER BY created_at DESC, id DESC
		LIMIT $2`, c.Account(), min(max(limit, 1), maxInvoices))
}
