package stripetest_test

import (
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

func TestRefund(t *testing.T) {
	t.Parallel()
	a := open(t)
	session := a.session(1000)
	intent := a.Pay(session).Object("payment_intent")
	events := a.Refund(session, 300)
	same(t, "events", []string{"refund.created", "charge.refunded"}, events.Types())
	charge := events.Object("charge")
	same(t, "previous", `{"amount_refunded":0}`, string(events[1].Previous))

	made := must(a.client.V1Refunds.Create(a.ctx, &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(intent), Amount: stripe.Int64(200), Metadata: map[string]string{"k": "v"},
	}))(t)
	same(t, "refund", []any{int64(200), stripe.RefundStatusSucceeded, charge, intent},
		[]any{made.Amount, made.Status, made.Charge.ID, made.PaymentIntent.ID})
	_, err := a.client.V1Refunds.Create(a.ctx, &stripe.RefundCreateParams{Charge: stripe.String(charge), Amount: stripe.Int64(501)})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "amount")
	a.Refund(charge, 0)
	_, err = a.client.V1Refunds.Create(a.ctx, &stripe.RefundCreateParams{Charge: stripe.String(charge)})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeChargeAlreadyRefunded, "")

	params := &stripe.ChargeRetrieveParams{}
	params.AddExpand("refunds")
	got := must(a.client.V1Charges.Retrieve(a.ctx, charge, params))(t)
	same(t, "charge", []any{int64(1000), true, 3}, []any{got.AmountRefunded, got.Refunded, len(got.Refunds.Data)})
	list := &stripe.RefundListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: a.Now().Unix()}}
	same(t, "refunds", 3, len(all(t, a.client.V1Refunds.List(a.ctx, list).All(a.ctx))))

	same(t, "failed refund", []string{"charge.updated", "refund.updated", "charge.refund.updated", "refund.failed"}, a.FailRefund(made.ID).Types())
	after := stripetest.Object[stripe.Charge](a.Server, charge)
	same(t, "charge after it", []any{int64(800), false}, []any{after.AmountRefunded, after.Refunded})
	same(t, "refund after it", stripe.RefundStatusFailed, must(a.client.V1Refunds.Retrieve(a.ctx, made.ID, nil))(t).Status)
}

func TestDispute(t *testing.T) {
	t.Parallel()
	a := open(t)
	intent := a.intent(1000)
	charge := a.Pay(intent).Object("charge")
	events := a.Dispute(intent, 0)
	same(t, "opened", []string{"charge.dispute.created", "charge.dispute.funds_withdrawn"}, events.Types())
	first := events.Object("dispute")
	_, err := a.client.V1Refunds.Create(a.ctx, &stripe.RefundCreateParams{Charge: stripe.String(charge)})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeChargeDisputed, "")
	same(t, "answered", []string{"charge.dispute.updated"}, a.AnswerDispute(first).Types())
	same(t, "won", []string{"charge.dispute.funds_reinstated", "charge.dispute.closed"}, a.WinDispute(intent).Types())
	got := must(a.client.V1Disputes.Retrieve(a.ctx, first, nil))(t)
	same(t, "dispute", []any{stripe.DisputeStatusWon, int64(1000), charge, intent},
		[]any{got.Status, got.Amount, got.Charge.ID, got.PaymentIntent.ID})

	a.Dispute(charge, 400)
	same(t, "lost", []string{"charge.dispute.closed"}, a.LoseDispute(charge).Types())
	a.Inquire(charge, 0)
	same(t, "inquiry", []string{"charge.dispute.closed"}, a.CloseInquiry(charge).Types())
	var states []stripe.DisputeStatus
	list := &stripe.DisputeListParams{PaymentIntent: stripe.String(intent)}
	for _, d := range all(t, a.client.V1Disputes.List(a.ctx, list).All(a.ctx)) {
		states = append(states, d.Status)
	}
	same(t, "all", []stripe.DisputeStatus{stripe.DisputeStatusWarningClosed, stripe.DisputeStatusLost, stripe.DisputeStatusWon}, states)
	same(t, "disputed", true, must(a.client.V1Charges.Retrieve(a.ctx, charge, nil))(t).Disputed)
}
