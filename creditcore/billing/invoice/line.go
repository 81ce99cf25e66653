package invoice

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// paidLine is a line of a paid invoice at a price of one of our plans.
type paidLine struct {
	id           string
	price        catalog.PlanPrice
	starts, ends time.Time
	// credits is what the line is due: zero for one that costs nothing, such
	// as a trial.
	credits creditcore.Amount
	// cut is set where the line credits unused time.
	cut bool
}

// readLines reads those lines of a paid invoice that are plans of ours.
// Nothing is due for an invoice in another currency than ours.
func (s *Service) readLines(ctx context.Context, invoice *stripe.Invoice, r *invoiceRow) error {
	if invoice.Currency != catalog.Currency {
		s.log.WarnContext(ctx, "no credits for an invoice in another currency", "invoice", invoice.ID, "currency", invoice.Currency)
		return nil
	}
	lines, err := s.linesOf(ctx, invoice)
	if err != nil {
		return err
	}
	var ids []string
	for _, l := range lines {
		if id := priceOf(l); id != "" {
			ids = append(ids, id)
		}
	}
	if r.prices, err = s.catalog.Prices(ctx, ids); err != nil {
		return err
	}
	if err := s.catalog.FetchTerms(ctx, r.prices); err != nil {
		return err
	}
	for _, l := range lines {
		price, ok := r.prices[priceOf(l)]
		if !ok || price.Currency != catalog.Currency || l.Period == nil || l.Period.End <= l.Period.Start {
			s.log.WarnContext(ctx, "no credits for an invoice line at a price of no plan", "invoice", invoice.ID, "price", priceOf(l))
			continue
		}
		if r.StripeSubscriptionID == "" {
			r.StripeSubscriptionID = subscriptionOf(l)
		}
		line := paidLine{
			id: l.ID, price: price, cut: l.Amount < 0,
			starts: time.Unix(l.Period.Start, 0).UTC(), ends: time.Unix(l.Period.End, 0).UTC(),
		}
		if l.Amount > 0 {
			line.credits = price.PeriodCredits().Share(l.Amount, price.UnitAmount)
		}
		r.lines = append(r.lines, line)
	}
	return nil
}

// linesOf fetches what did not fit into the invoice.
func (s *Service) linesOf(ctx context.Context, invoice *stripe.Invoice) ([]*stripe.InvoiceLineItem, error) {
	if invoice.Lines == nil {
		return nil, nil
	}
	if !invoice.Lines.HasMore {
		return invoice.Lines.Data, nil
	}
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	params := &stripe.InvoiceListLinesParams{Invoice: stripe.String(invoice.ID)}
	params.Limit = stripe.Int64(100)
	var lines []*stripe.InvoiceLineItem
	for l, err := range s.stripe.V1Invoices.ListLines(ctx, params).All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list lines of invoice %s: %w", invoice.ID, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// priceOf is empty for a line without a price.
func priceOf(l *stripe.InvoiceLineItem) string {
	if l.Pricing == nil || l.Pricing.PriceDetails == nil || l.Pricing.PriceDetails.Price == nil {
		return ""
	}
	return l.Pricing.PriceDetails.Price.ID
}

// subscriptionOf is empty for a line that bills none.
func subscriptionOf(l *stripe.InvoiceLineItem) string {
	switch {
	case l.Subscription != nil:
		return l.Subscription.ID
	case l.Parent == nil:
	case l.Parent.SubscriptionItemDetails != nil:
		return l.Parent.SubscriptionItemDetails.Subscription
	case l.Parent.InvoiceItemDetails != nil:
		return l.Parent.InvoiceItemDetails.Subscription
	}
	return ""
}
