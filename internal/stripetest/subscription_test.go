package stripetest_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

func (a *account) subscription(id string) *stripe.Subscription {
	a.t.Helper()
	return must(a.client.V1Subscriptions.Retrieve(a.ctx, id, nil))(a.t)
}

func TestSubscriptionByCheckout(t *testing.T) {
	t.Parallel()
	a := open(t)
	session := a.subscriptionSession(a.AddPrice("price_plus", 499, "month"))
	same(t, "declined", []string{
		"customer.subscription.created", "invoice.created", "payment_intent.created", "invoice.finalized",
		"charge.failed", "payment_intent.payment_failed", "invoice.updated", "invoice.payment_failed",
	}, a.FailCard(session).Types())
	same(t, "still open", stripe.CheckoutSessionStatusOpen, a.checkout(session).Status)
	events := a.Pay(session)
	same(t, "paid", []string{
		"charge.succeeded", "payment_intent.succeeded", "invoice_payment.paid", "invoice.updated", "invoice.paid",
		"invoice.payment_succeeded", "customer.subscription.updated", "checkout.session.completed",
	}, events.Types())

	done := a.checkout(session, "subscription", "invoice")
	sub := done.Subscription
	same(t, "session", []any{stripe.CheckoutSessionPaymentStatusPaid, true, done.Invoice.ID},
		[]any{done.PaymentStatus, done.PaymentIntent == nil, sub.LatestInvoice.ID})
	item := sub.Items.Data[0]
	same(t, "subscription", []any{stripe.SubscriptionStatusActive, map[string]string{"userId": "u1"}, a.customer, a.Now().Unix()},
		[]any{sub.Status, sub.Metadata, sub.Customer.ID, sub.BillingCycleAnchor})
	same(t, "item", []any{"price_plus", int64(499), stripe.PriceRecurringIntervalMonth, int64(1), a.Now().Unix(), a.Now().AddDate(0, 1, 0).Unix()},
		[]any{item.Price.ID, item.Price.UnitAmount, item.Price.Recurring.Interval, item.Quantity, item.CurrentPeriodStart, item.CurrentPeriodEnd})
}

func TestSubscriptionByDebit(t *testing.T) {
	t.Parallel()
	a := open(t)
	session := a.subscriptionSession(a.AddPrice("", 499, "month"))
	sub := a.PayAsync(session).Object("subscription")
	same(t, "status", stripe.SubscriptionStatusActive, a.subscription(sub).Status)
	same(t, "unpaid", stripe.CheckoutSessionPaymentStatusUnpaid, a.checkout(session).PaymentStatus)
	invoice := a.subscription(sub).LatestInvoice.ID
	a.AsyncFail(invoice)
	same(t, "status", stripe.SubscriptionStatusPastDue, a.subscription(sub).Status)
	same(t, "open", stripe.InvoiceStatusOpen, stripetest.Object[stripe.Invoice](a.Server, invoice).Status)
	a.Pay(invoice)
	same(t, "status", stripe.SubscriptionStatusActive, a.subscription(sub).Status)
	same(t, "paid", stripe.CheckoutSessionPaymentStatusPaid, a.checkout(session).PaymentStatus)
}

func TestSubscriptionCheckoutRunsOut(t *testing.T) {
	t.Parallel()
	a := open(t)
	session := a.subscriptionSession(a.AddPrice("", 499, "month"))
	sub := a.FailCard(session).Object("subscription")
	same(t, "events", []string{"checkout.session.expired", "customer.subscription.updated", "invoice.updated", "invoice.voided", "payment_intent.canceled"},
		a.ExpireSession(session).Types())
	same(t, "status", stripe.SubscriptionStatusIncompleteExpired, a.subscription(sub).Status)
}

func TestFreeSubscription(t *testing.T) {
	t.Parallel()
	a := open(t)
	session := a.subscriptionSession(a.AddPrice("", 0, "month"))
	a.Pay(session)
	got := a.checkout(session, "subscription.latest_invoice.payments")
	same(t, "free", []any{stripe.CheckoutSessionPaymentStatusNoPaymentRequired, stripe.SubscriptionStatusActive, stripe.InvoiceStatusPaid, 0},
		[]any{got.PaymentStatus, got.Subscription.Status, got.Subscription.LatestInvoice.Status, len(got.Subscription.LatestInvoice.Payments.Data)})
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	a := open(t)
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), map[string]string{"userId": "u1"}).Object("subscription")
	first := a.subscription(sub)
	end := first.Items.Data[0].CurrentPeriodEnd
	events := a.RenewSubscription(sub)
	same(t, "events", []string{
		"customer.subscription.updated", "invoice.created", "payment_intent.created", "invoice.finalized", "charge.succeeded",
		"payment_intent.succeeded", "invoice_payment.paid", "invoice.updated", "invoice.paid", "invoice.payment_succeeded",
	}, events.Types())
	same(t, "clock", end, a.Now().Unix())
	got := a.subscription(sub)
	same(t, "period", []any{end, time.Unix(end, 0).UTC().AddDate(0, 1, 0).Unix(), events.Object("invoice")},
		[]any{got.Items.Data[0].CurrentPeriodStart, got.Items.Data[0].CurrentPeriodEnd, got.LatestInvoice.ID})

	failed := a.FailRenewal(sub)
	same(t, "past due", stripe.SubscriptionStatusPastDue, a.subscription(sub).Status)
	same(t, "failed", []string{"charge.failed", "payment_intent.payment_failed", "invoice.updated", "invoice.payment_failed", "customer.subscription.updated"},
		failed.Types()[len(failed)-5:])
	a.Pay(failed.Object("invoice"))
	same(t, "healed", stripe.SubscriptionStatusActive, a.subscription(sub).Status)
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	a := open(t)
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), nil).Object("subscription")
	end := a.subscription(sub).Items.Data[0].CurrentPeriodEnd
	update := func(params *stripe.SubscriptionUpdateParams) *stripe.Subscription {
		return must(a.client.V1Subscriptions.Update(a.ctx, sub, params))(t)
	}
	got := update(&stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(true)})
	same(t, "canceled at the end", []any{true, end, a.Now().Unix()}, []any{got.CancelAtPeriodEnd, got.CancelAt, got.CanceledAt})
	got = update(&stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(false)})
	same(t, "taken back", []any{false, int64(0), int64(0)}, []any{got.CancelAtPeriodEnd, got.CancelAt, got.CanceledAt})
	got = update(&stripe.SubscriptionUpdateParams{CancelAt: stripe.Int64(end - 60)})
	same(t, "at a time", []any{false, end - 60}, []any{got.CancelAtPeriodEnd, got.CancelAt})
	unset := &stripe.SubscriptionUpdateParams{}
	unset.AddUnsetField(stripe.SubscriptionUpdateParamsUnsetFieldCancelAt)
	same(t, "unset", int64(0), update(unset).CancelAt)
	same(t, "updates", 4+1, len(a.Events().Of("customer.subscription.updated"))) // one made it active

	update(&stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(true)})
	same(t, "ended", []string{"customer.subscription.deleted"}, a.EndSubscription(sub).Types())
	got = a.subscription(sub)
	same(t, "over", []any{stripe.SubscriptionStatusCanceled, end}, []any{got.Status, got.EndedAt})
	_, err := a.client.V1Subscriptions.Update(a.ctx, sub, &stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(false)})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "")
	_, err = a.client.V1Subscriptions.Cancel(a.ctx, sub, nil)
	refused(t, err, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "id")

	other := a.Subscribe(a.customer, a.AddPrice("", 999, "year"), nil).Object("subscription")
	third := a.Subscribe(a.customer, a.AddPrice("", 99, "week"), nil).Object("subscription")
	must(a.client.V1Subscriptions.Cancel(a.ctx, other, nil))(t)
	count := func(status *string) int {
		params := &stripe.SubscriptionListParams{Customer: stripe.String(a.customer), Status: status}
		return len(all(t, a.client.V1Subscriptions.List(a.ctx, params).All(a.ctx)))
	}
	same(t, "listed", []int{1, 3, 2, 1}, []int{count(nil), count(stripe.String("all")), count(stripe.String("canceled")), count(stripe.String("active"))})
	a.SetSubscriptionStatus(third, "unpaid")
	same(t, "any status", stripe.SubscriptionStatusUnpaid, a.subscription(third).Status)
}

func TestPeriodsKeepTheirDay(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.Advance(time.Date(2027, 1, 31, 9, 0, 0, 0, time.UTC).Sub(a.Now()))
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), nil).Object("subscription")
	var days []string
	for range 3 {
		days = append(days, time.Unix(a.subscription(sub).Items.Data[0].CurrentPeriodEnd, 0).UTC().Format("2006-01-02"))
		a.RenewSubscription(sub)
	}
	same(t, "ends", []string{"2027-02-28", "2027-03-31", "2027-04-30"}, days)
}
