package stripetest_test

import (
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

func TestIntentIsPaidAfterADecline(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.intent(500)
	fresh := stripetest.Object[stripe.PaymentIntent](a.Server, id)
	same(t, "fresh", []any{stripe.PaymentIntentStatusRequiresPaymentMethod, true, true},
		[]any{fresh.Status, fresh.ClientSecret != "", fresh.AutomaticPaymentMethods.Enabled})

	same(t, "declined", []string{"charge.failed", "payment_intent.payment_failed"}, a.FailCard(id).Types())
	got := must(a.client.V1PaymentIntents.Retrieve(a.ctx, id, nil))(t)
	same(t, "error", []any{stripe.ErrorCodeCardDeclined, "Your card was declined."}, []any{got.LastPaymentError.Code, got.LastPaymentError.Msg})

	same(t, "paid", []string{"charge.succeeded", "payment_intent.succeeded"}, a.Pay(id).Types())
	params := &stripe.PaymentIntentRetrieveParams{}
	params.AddExpand("latest_charge")
	params.AddExpand("customer")
	got = must(a.client.V1PaymentIntents.Retrieve(a.ctx, id, params))(t)
	same(t, "intent", []any{stripe.PaymentIntentStatusSucceeded, int64(500), true, "ada@example.org"},
		[]any{got.Status, got.AmountReceived, got.LastPaymentError == nil, got.Customer.Email})
	same(t, "charge", []any{int64(500), int64(0), true, map[string]string{"purchaseId": "p1"}, id},
		[]any{got.LatestCharge.Amount, got.LatestCharge.AmountRefunded, got.LatestCharge.Paid, got.LatestCharge.Metadata, got.LatestCharge.PaymentIntent.ID})
	charges := &stripe.ChargeListParams{PaymentIntent: stripe.String(id)}
	same(t, "charges", 2, len(all(t, a.client.V1Charges.List(a.ctx, charges).All(a.ctx))))
	_, err := a.client.V1PaymentIntents.Cancel(a.ctx, id, nil)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentIntentUnexpectedState, "")
}

func TestIntentIsUpdatedAndCanceled(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.intent(500)
	got := must(a.client.V1PaymentIntents.Update(a.ctx, id, &stripe.PaymentIntentUpdateParams{
		Amount: stripe.Int64(700), Metadata: map[string]string{"k": "v"},
	}))(t)
	same(t, "updated", []any{int64(700), map[string]string{"purchaseId": "p1", "k": "v"}}, []any{got.Amount, got.Metadata})
	got = must(a.client.V1PaymentIntents.Cancel(a.ctx, id, &stripe.PaymentIntentCancelParams{CancellationReason: stripe.String("abandoned")}))(t)
	same(t, "canceled", []any{stripe.PaymentIntentStatusCanceled, stripe.PaymentIntentCancellationReasonAbandoned}, []any{got.Status, got.CancellationReason})
	same(t, "event", 1, len(a.Events().Of("payment_intent.canceled")))
}

func TestIntentListExpands(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.intent(500)
	a.Pay(a.intent(600))
	params := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: a.Now().Unix()}}
	params.AddExpand("data.latest_charge")
	list := all(t, a.client.V1PaymentIntents.List(a.ctx, params).All(a.ctx))
	same(t, "charges", []any{int64(600), true}, []any{list[0].LatestCharge.Amount, list[1].LatestCharge == nil})
}

func TestAsyncIntent(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.intent(500)
	status := func() stripe.PaymentIntentStatus { return stripetest.Object[stripe.PaymentIntent](a.Server, id).Status }
	same(t, "pending", []string{"charge.pending", "payment_intent.processing"}, a.PayAsync(id).Types())
	same(t, "status", stripe.PaymentIntentStatusProcessing, status())
	same(t, "failed", []string{"charge.failed", "payment_intent.payment_failed"}, a.AsyncFail(id).Types())
	same(t, "status", stripe.PaymentIntentStatusRequiresPaymentMethod, status())
	a.PayAsync(id)
	same(t, "succeeded", []string{"charge.succeeded", "payment_intent.succeeded"}, a.AsyncSucceed(id).Types())
	same(t, "status", stripe.PaymentIntentStatusSucceeded, status())
}

func TestTampering(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.intent(500)
	a.Pay(id)
	before := len(a.Events())
	a.SetAmountReceived(id, 1)
	a.SetCurrency(id, "usd")
	a.Set(id, "livemode", true)
	a.Set(id, "amount", 7)
	a.Set(id, "metadata", map[string]string{})
	got := must(a.client.V1PaymentIntents.Retrieve(a.ctx, id, nil))(t)
	same(t, "tampered", []any{int64(1), stripe.CurrencyUSD, true, int64(7), map[string]string{}},
		[]any{got.AmountReceived, got.Currency, got.Livemode, got.Amount, got.Metadata})
	same(t, "events", before, len(a.Events()))
	same(t, "livemode of its events", true, a.Emit("payment_intent.succeeded", id).Livemode)
}
