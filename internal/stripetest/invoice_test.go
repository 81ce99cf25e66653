package stripetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

func (a *account) invoice(id string) *stripe.Invoice {
	a.t.Helper()
	params := &stripe.InvoiceRetrieveParams{}
	params.AddExpand("payments.data.payment.payment_intent")
	return must(a.client.V1Invoices.Retrieve(a.ctx, id, params))(a.t)
}

func TestInvoiceOfASubscription(t *testing.T) {
	t.Parallel()
	a := open(t)
	price := a.AddPrice("price_plus", 499, "month")
	sub := a.Subscribe(a.customer, price, map[string]string{"userId": "u1"}).Object("subscription")
	start := a.Now()
	id := a.RenewSubscription(sub).Object("invoice")
	got := a.invoice(id)
	same(t, "invoice", []any{
		stripe.InvoiceStatusPaid, stripe.InvoiceBillingReasonSubscriptionCycle, int64(499), int64(499), int64(0), stripe.CurrencyEUR,
		"TEST000001-0002", a.Now().Unix(), start.Unix(), a.Now().Unix(), a.customer,
	}, []any{
		got.Status, got.BillingReason, got.AmountDue, got.AmountPaid, got.AmountRemaining, got.Currency,
		got.Number, got.StatusTransitions.PaidAt, got.PeriodStart, got.PeriodEnd, got.Customer.ID,
	})
	if got.HostedInvoiceURL == "" || got.InvoicePDF == "" {
		t.Error("no page of the invoice")
	}
	same(t, "parent", []any{stripe.InvoiceParentTypeSubscriptionDetails, sub, map[string]string{"userId": "u1"}},
		[]any{got.Parent.Type, got.Parent.SubscriptionDetails.Subscription.ID, got.Parent.SubscriptionDetails.Metadata})
	line := got.Lines.Data[0]
	same(t, "line", []any{int64(499), price, sub, false, a.Now().Unix(), a.Now().AddDate(0, 1, 0).Unix(), int64(1), id}, []any{
		line.Amount, line.Pricing.PriceDetails.Price.ID, line.Parent.SubscriptionItemDetails.Subscription,
		line.Parent.SubscriptionItemDetails.Proration, line.Period.Start, line.Period.End, line.Quantity, line.Invoice,
	})
	payment := got.Payments.Data[0]
	intent := payment.Payment.PaymentIntent
	same(t, "payment", []any{"paid", int64(499), stripe.PaymentIntentStatusSucceeded, map[string]string{}},
		[]any{payment.Status, payment.AmountPaid, intent.Status, intent.Metadata})

	by := &stripe.InvoicePaymentListParams{Payment: &stripe.InvoicePaymentListPaymentParams{
		Type: stripe.String("payment_intent"), PaymentIntent: stripe.String(intent.ID),
	}}
	found := all(t, a.client.V1InvoicePayments.List(a.ctx, by).All(a.ctx))
	same(t, "found by its intent", []any{1, id}, []any{len(found), found[0].Invoice.ID})
	count := func(params *stripe.InvoiceListParams) int {
		return len(all(t, a.client.V1Invoices.List(a.ctx, params).All(a.ctx)))
	}
	same(t, "listed", []int{2, 2, 0}, []int{
		count(&stripe.InvoiceListParams{Customer: stripe.String(a.customer)}),
		count(&stripe.InvoiceListParams{Subscription: stripe.String(sub), Status: stripe.String("paid")}),
		count(&stripe.InvoiceListParams{Status: stripe.String("open")}),
	})
	same(t, "refunded", []string{"refund.created", "charge.refunded"}, a.Refund(id, 0).Types())
}

func TestDraftInvoice(t *testing.T) {
	t.Parallel()
	a := open(t)
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), nil).Object("subscription")
	id := a.DraftInvoice(sub).Object("invoice")
	same(t, "draft", []any{stripe.InvoiceStatusDraft, "", int64(499)}, []any{a.invoice(id).Status, a.invoice(id).Number, a.invoice(id).AmountDue})
	for i := range 12 {
		a.AddInvoiceItem(id, 100, fmt.Sprintf("item %d", i))
	}
	same(t, "finalized", []string{"payment_intent.created", "invoice.finalized"}, a.FinalizeInvoice(id).Types())
	got := a.invoice(id)
	same(t, "open", []any{stripe.InvoiceStatusOpen, int64(1699), 10, true}, []any{got.Status, got.AmountDue, len(got.Lines.Data), got.Lines.HasMore})
	lines := all(t, a.client.V1Invoices.ListLines(a.ctx, &stripe.InvoiceListLinesParams{Invoice: stripe.String(id)}).All(a.ctx))
	same(t, "all lines", []any{13, true, stripe.InvoiceLineItemParentTypeInvoiceItemDetails}, []any{len(lines), lines[12].Pricing == nil, lines[12].Parent.Type})
	a.FailCard(id)
	same(t, "past due", stripe.SubscriptionStatusPastDue, a.subscription(sub).Status)
	same(t, "voided", []string{"invoice.updated", "invoice.voided", "payment_intent.canceled"}, a.VoidInvoice(id).Types())

	own := a.DraftInvoice(a.customer).Object("invoice")
	a.AddInvoiceItem(own, 5000, "consulting")
	a.FinalizeInvoice(own)
	a.Pay(own)
	got = a.invoice(own)
	same(t, "own", []any{stripe.InvoiceStatusPaid, true, int64(5000)}, []any{got.Status, got.Parent == nil, got.AmountPaid})
}

func TestChangePlan(t *testing.T) {
	t.Parallel()
	a := open(t)
	plus, pro := a.AddPrice("price_plus", 500, "month"), a.AddPrice("price_pro", 1200, "month")
	sub := a.Subscribe(a.customer, plus, nil).Object("subscription")
	item := a.subscription(sub).Items.Data[0]
	a.Advance(time.Duration(item.CurrentPeriodEnd-item.CurrentPeriodStart) / 2 * time.Second)

	up := a.ChangePlan(sub, pro)
	got := a.invoice(up.Object("invoice"))
	same(t, "upgrade", []any{stripe.InvoiceBillingReasonSubscriptionUpdate, stripe.InvoiceStatusPaid, int64(350)}, []any{got.BillingReason, got.Status, got.AmountPaid})
	for i, want := range []struct {
		cents int64
		price string
	}{{-250, plus}, {600, pro}} {
		line := got.Lines.Data[i]
		same(t, "line", []any{want.cents, want.price, true, a.Now().Unix(), item.CurrentPeriodEnd}, []any{
			line.Amount, line.Pricing.PriceDetails.Price.ID, line.Parent.SubscriptionItemDetails.Proration, line.Period.Start, line.Period.End,
		})
	}
	same(t, "price", pro, a.subscription(sub).Items.Data[0].Price.ID)

	down := a.invoice(a.ChangePlan(sub, plus).Object("invoice"))
	same(t, "downgrade", []any{stripe.InvoiceStatusPaid, int64(-350), int64(0), 0}, []any{down.Status, down.Total, down.AmountDue, len(down.Payments.Data)})
	next := a.invoice(a.RenewSubscription(sub).Object("invoice"))
	same(t, "credited", []any{int64(500), int64(-350), int64(150)}, []any{next.Total, next.StartingBalance, next.AmountPaid})

	a.Decline(a.customer, true)
	failed := a.ChangePlan(sub, pro)
	same(t, "failed", stripe.InvoiceStatusOpen, a.invoice(failed.Object("invoice")).Status)
	same(t, "past due", stripe.SubscriptionStatusPastDue, a.subscription(sub).Status)
}

func TestChangePlanByCall(t *testing.T) {
	t.Parallel()
	a := open(t)
	plus, pro, year := a.AddPrice("", 500, "month"), a.AddPrice("", 1200, "month"), a.AddPrice("", 12000, "year")
	sub := a.Subscribe(a.customer, plus, nil).Object("subscription")
	update := func(price, behavior string) *stripe.Subscription {
		return must(a.client.V1Subscriptions.Update(a.ctx, sub, &stripe.SubscriptionUpdateParams{
			Items:             []*stripe.SubscriptionUpdateItemParams{{ID: stripe.String(a.subscription(sub).Items.Data[0].ID), Price: stripe.String(price)}},
			ProrationBehavior: stripe.String(behavior),
		}))(t)
	}
	invoices := func() int { return len(a.Events().Of("invoice.created")) }
	update(pro, "create_prorations")
	same(t, "no invoice yet", 1, invoices())
	next := a.invoice(a.RenewSubscription(sub).Object("invoice"))
	same(t, "with prorations", []any{3, int64(-500 + 1200 + 1200)}, []any{len(next.Lines.Data), next.Total})
	update(plus, "none")
	same(t, "none", 2, invoices())
	got := update(year, "always_invoice")
	same(t, "a new period", []any{a.Now().Unix(), a.Now().AddDate(1, 0, 0).Unix()}, []any{got.BillingCycleAnchor, got.Items.Data[0].CurrentPeriodEnd})
	yearly := a.invoice(got.LatestInvoice.ID)
	same(t, "yearly", []any{int64(12000 - 500), false}, []any{yearly.Total, yearly.Lines.Data[1].Parent.SubscriptionItemDetails.Proration})
}
