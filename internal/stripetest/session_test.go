package stripetest_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

func (a *account) checkout(id string, expand ...string) *stripe.CheckoutSession {
	a.t.Helper()
	params := &stripe.CheckoutSessionRetrieveParams{Expand: stripe.StringSlice(expand)}
	return must(a.client.V1CheckoutSessions.Retrieve(a.ctx, id, params))(a.t)
}

func TestSessionIsPaid(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.session(500)
	got := a.checkout(id, "line_items")
	same(t, "open", []any{stripe.CheckoutSessionStatusOpen, stripe.CheckoutSessionPaymentStatusUnpaid, true, int64(500), "p1", a.Now().Add(24 * time.Hour).Unix()},
		[]any{got.Status, got.PaymentStatus, got.PaymentIntent == nil, got.AmountTotal, got.ClientReferenceID, got.ExpiresAt})
	same(t, "line item", "Small", got.LineItems.Data[0].Description)
	same(t, "metadata", map[string]string{"purchaseId": "p1"}, got.Metadata) // an empty value is no value
	items := &stripe.CheckoutSessionListLineItemsParams{Session: stripe.String(id)}
	same(t, "line items", 1, len(all(t, a.client.V1CheckoutSessions.ListLineItems(a.ctx, items).All(a.ctx))))

	same(t, "declined", []string{"payment_intent.created", "charge.failed", "payment_intent.payment_failed"}, a.FailCard(id).Types())
	same(t, "paid", []string{"charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"}, a.Pay(id).Types())
	got = a.checkout(id, "payment_intent.latest_charge")
	same(t, "complete", []any{stripe.CheckoutSessionStatusComplete, stripe.CheckoutSessionPaymentStatusPaid, "", map[string]string{"purchaseId": "p1"}, int64(500)},
		[]any{got.Status, got.PaymentStatus, got.URL, got.PaymentIntent.Metadata, got.PaymentIntent.LatestCharge.Amount})
	_, err := a.client.V1CheckoutSessions.Expire(a.ctx, id, nil)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "")
}

func TestSessionIsPaidAsync(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		end    func(*account, string) []string
		events []string
		status stripe.CheckoutSessionPaymentStatus
	}{
		{"succeeds", func(a *account, id string) []string { return a.AsyncSucceed(id).Types() },
			[]string{"charge.succeeded", "payment_intent.succeeded", "checkout.session.async_payment_succeeded"}, stripe.CheckoutSessionPaymentStatusPaid},
		{"fails", func(a *account, id string) []string { return a.AsyncFail(id).Types() },
			[]string{"charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"}, stripe.CheckoutSessionPaymentStatusUnpaid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			id := a.session(500)
			same(t, "processing", []string{"payment_intent.created", "charge.pending", "payment_intent.processing", "checkout.session.completed"}, a.PayAsync(id).Types())
			got := a.checkout(id)
			same(t, "unpaid", []any{stripe.CheckoutSessionStatusComplete, stripe.CheckoutSessionPaymentStatusUnpaid}, []any{got.Status, got.PaymentStatus})
			same(t, "end", test.events, test.end(a, got.PaymentIntent.ID))
			same(t, "status", test.status, a.checkout(id).PaymentStatus)
		})
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	a := open(t)
	first, second, third := a.session(500), a.session(600), a.session(700)
	same(t, "by verb", []string{"checkout.session.expired"}, a.ExpireSession(first).Types())
	got := must(a.client.V1CheckoutSessions.Expire(a.ctx, second, nil))(t)
	same(t, "by call", stripe.CheckoutSessionStatusExpired, got.Status)
	a.FailCard(third)
	same(t, "by time", []string{"checkout.session.expired", "payment_intent.canceled"}, a.Advance(25*time.Hour).Types())
	list := &stripe.CheckoutSessionListParams{Status: stripe.String("expired")}
	same(t, "expired", 3, len(all(t, a.client.V1CheckoutSessions.List(a.ctx, list).All(a.ctx))))
}

func TestSessionIsRefused(t *testing.T) {
	t.Parallel()
	a := open(t)
	month, once := a.AddPrice("price_month", 499, "month"), a.AddPrice("price_once", 499, "")
	line := func(price string) []*stripe.CheckoutSessionCreateLineItemParams {
		return []*stripe.CheckoutSessionCreateLineItemParams{{Price: stripe.String(price), Quantity: stripe.Int64(1)}}
	}
	for _, test := range []struct {
		name   string
		params stripe.CheckoutSessionCreateParams
		code   stripe.ErrorCode
		param  string
	}{
		{"no line", stripe.CheckoutSessionCreateParams{Mode: stripe.String("payment")}, stripe.ErrorCodeParameterMissing, "line_items"},
		{"unknown price", stripe.CheckoutSessionCreateParams{Mode: stripe.String("subscription"), LineItems: line("price_x")}, stripe.ErrorCodeResourceMissing, "line_items[0][price]"},
		{"price of the other mode", stripe.CheckoutSessionCreateParams{Mode: stripe.String("subscription"), LineItems: line(once)}, "", "line_items[0]"},
		{"price of the other mode", stripe.CheckoutSessionCreateParams{Mode: stripe.String("payment"), LineItems: line(month)}, "", "line_items[0]"},
		{"open too long", stripe.CheckoutSessionCreateParams{Mode: stripe.String("payment"), LineItems: line(once),
			ExpiresAt: stripe.Int64(a.Now().Add(25 * time.Hour).Unix())}, "", "expires_at"},
		{"unknown customer", stripe.CheckoutSessionCreateParams{Mode: stripe.String("payment"), LineItems: line(once),
			Customer: stripe.String("cus_x")}, stripe.ErrorCodeResourceMissing, "customer"},
		{"data of the other mode", stripe.CheckoutSessionCreateParams{Mode: stripe.String("subscription"), LineItems: line(month),
			PaymentIntentData: &stripe.CheckoutSessionCreatePaymentIntentDataParams{Metadata: map[string]string{"k": "v"}}}, "", "payment_intent_data"},
	} {
		test.params.SuccessURL = stripe.String("https://mana.how/ok")
		_, err := a.client.V1CheckoutSessions.Create(a.ctx, &test.params)
		t.Run(test.name, func(t *testing.T) {
			refused(t, err, 400, stripe.ErrorTypeInvalidRequest, test.code, test.param)
		})
	}
}
