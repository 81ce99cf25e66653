package invoice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// InvoiceEvent handles what happens to an invoice.
func (s *Service) InvoiceEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil || o.ID == "" { // a preview has no id
		return nil, err
	}
	return s.effect(ctx, o.ID)
}

// InvoiceChargeEvent handles what happens to a charge, a refund or a dispute of
// a payment that is no purchase's.
func (s *Service) InvoiceChargeEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil || o.PaymentIntent == "" {
		return nil, err
	}
	return s.chargeEffect(ctx, string(o.PaymentIntent))
}

// chargeEffect brings the invoice of a payment up to date. It is nil where the
// payment is none of an invoice of ours.
func (s *Service) chargeEffect(ctx context.Context, intentID string) (settle.Effect, error) {
	id, err := s.invoiceOfIntent(ctx, intentID)
	if err != nil || id == "" {
		return nil, err
	}
	return s.effect(ctx, id)
}

// invoiceOfIntent is empty where a payment belongs to no invoice.
func (s *Service) invoiceOfIntent(ctx context.Context, intentID string) (string, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	params := &stripe.InvoicePaymentListParams{Payment: &stripe.InvoicePaymentListPaymentParams{
		Type: stripe.String("payment_intent"), PaymentIntent: stripe.String(intentID),
	}}
	for p, err := range s.stripe.V1InvoicePayments.List(ctx, params).All(ctx) {
		if stripeapi.Missing(err) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("find the invoice of %s: %w", intentID, err)
		}
		if p.Invoice != nil {
			return p.Invoice.ID, nil
		}
	}
	return "", nil
}

// invoiceRow is what is stored of an invoice of Stripe.
type invoiceRow struct {
	Invoice
	// StripeSubscriptionID is empty for one that bills no subscription.
	StripeSubscriptionID string
	// ReversedEuroCents were refunded or are disputed, of what was paid.
	ReversedEuroCents int64
	// Revision is that of our row when Stripe was asked, 0 where there was
	// none.
	Revision int64

	prices map[string]catalog.PlanPrice
	lines  []paidLine
}

// effect asks Stripe for an invoice and makes the effect that stores it
// and grants, or takes back, what is due for it. It is nil for one of an
// unknown customer and for one that Stripe does not know.
func (s *Service) effect(ctx context.Context, id string) (settle.Effect, error) {
	revision, err := s.invoiceRevision(ctx, id)
	if err != nil {
		return nil, err
	}
	invoice, err := s.fetchInvoice(ctx, id)
	if stripeapi.Missing(err) {
		return nil, nil //nolint:nilnil // a nil effect is a documented answer
	}
	if err != nil {
		return nil, err
	}
	if invoice.Customer == nil {
		return nil, nil //nolint:nilnil // see above
	}
	of, err := s.stripe.OwnerOf(ctx, invoice.Customer.ID)
	if errors.Is(err, stripeapi.ErrUnknownCustomer) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, err
	}
	if invoice.Livemode != s.stripe.Live() {
		return nil, fmt.Errorf("%w: invoice %s has livemode %t", settle.ErrMismatch, id, invoice.Livemode)
	}
	now, err := rowOfInvoice(invoice, of)
	if err != nil {
		return nil, err
	}
	now.Revision = revision
	if invoice.Status == stripe.InvoiceStatusPaid {
		if now.ReversedEuroCents, err = s.reversedOf(ctx, invoice); err != nil {
			return nil, err
		}
		if err := s.readLines(ctx, invoice, &now); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, tx pgx.Tx) error { return s.storeInvoice(ctx, tx, now) }, nil
}

func (s *Service) fetchInvoice(ctx context.Context, id string) (*stripe.Invoice, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	invoice, err := s.stripe.V1Invoices.Retrieve(ctx, id, &stripe.InvoiceRetrieveParams{
		Expand: []*string{stripe.String("payments")},
	})
	if err != nil {
		return nil, fmt.Errorf("fetch invoice %s: %w", id, err)
	}
	return invoice, nil
}

func rowOfInvoice(i *stripe.Invoice, of stripeapi.Owner) (invoiceRow, error) {
	metadata, err := stripeapi.Metadata(i.Metadata)
	r := invoiceRow{Invoice: Invoice{
		UserID: of.UserID, StripeInvoiceID: i.ID, StripeCustomerID: &i.Customer.ID, Number: dbscope.NullText(i.Number),
		Status: string(i.Status), AmountDueEuroCents: i.AmountDue, AmountPaidEuroCents: i.AmountPaid,
		Currency: string(i.Currency), HostedInvoiceURL: dbscope.NullText(i.HostedInvoiceURL), InvoicePDFURL: dbscope.NullText(i.InvoicePDF),
		PeriodStart: stripeapi.Time(i.PeriodStart), PeriodEnd: stripeapi.Time(i.PeriodEnd), DueDate: stripeapi.Time(i.DueDate),
		Metadata: metadata, CreatedAt: time.Unix(i.Created, 0),
	}}
	if i.StatusTransitions != nil {
		r.PaidAt = stripeapi.Time(i.StatusTransitions.PaidAt)
	}
	if i.Parent != nil && i.Parent.SubscriptionDetails != nil && i.Parent.SubscriptionDetails.Subscription != nil {
		r.StripeSubscriptionID = i.Parent.SubscriptionDetails.Subscription.ID
	}
	return r, err
}

// reversedOf is how much of what was paid for an invoice went back, or may, in
// cents.
func (s *Service) reversedOf(ctx context.Context, invoice *stripe.Invoice) (int64, error) {
	if invoice.Payments == nil || invoice.AmountPaid == 0 {
		return 0, nil
	}
	var reversed int64
	for _, p := range invoice.Payments.Data {
		if p.Payment == nil || p.Payment.PaymentIntent == nil {
			continue
		}
		now, err := s.stripe.IntentPayment(ctx, p.Payment.PaymentIntent.ID)
		if err != nil {
			return 0, err
		}
		reversed += now.Reversed()
	}
	return min(reversed, invoice.AmountPaid), nil
}
