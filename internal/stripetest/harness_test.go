package stripetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// account is a server with a client and a customer.
type account struct {
	*stripetest.Server
	t        *testing.T
	ctx      context.Context
	client   *stripe.Client
	customer string
}

func open(t *testing.T) *account {
	t.Helper()
	srv := stripetest.New(t)
	a := &account{Server: srv, t: t, ctx: t.Context(), client: srv.Client()}
	a.customer = must(a.client.V1Customers.Create(a.ctx, &stripe.CustomerCreateParams{
		Email: stripe.String("ada@example.org"), Metadata: map[string]string{"userId": "u1"},
	}))(t).ID
	return a
}

// must fails the test on an error: must(call())(t).
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func all[T any](t *testing.T, items func(func(T, error) bool)) []T {
	t.Helper()
	var out []T
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, item)
	}
	return out
}

func (a *account) intent(cents int64) string {
	a.t.Helper()
	return must(a.client.V1PaymentIntents.Create(a.ctx, &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(cents), Currency: stripe.String("eur"), Customer: stripe.String(a.customer),
		Metadata:                map[string]string{"purchaseId": "p1"},
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
	}))(a.t).ID
}

func (a *account) session(cents int64) string {
	a.t.Helper()
	return must(a.client.V1CheckoutSessions.Create(a.ctx, &stripe.CheckoutSessionCreateParams{
		Mode: stripe.String("payment"), Customer: stripe.String(a.customer),
		PaymentMethodTypes: stripe.StringSlice([]string{"card", "sepa_debit"}),
		ClientReferenceID:  stripe.String("p1"),
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{
			Quantity: stripe.Int64(1),
			PriceData: &stripe.CheckoutSessionCreateLineItemPriceDataParams{
				Currency: stripe.String("eur"), UnitAmount: stripe.Int64(cents),
				ProductData: &stripe.CheckoutSessionCreateLineItemPriceDataProductDataParams{Name: stripe.String("Small")},
			},
		}},
		Metadata:          map[string]string{"purchaseId": "p1", "roomId": ""},
		PaymentIntentData: &stripe.CheckoutSessionCreatePaymentIntentDataParams{Metadata: map[string]string{"purchaseId": "p1"}},
		SuccessURL:        stripe.String("https://mana.how/ok"), CancelURL: stripe.String("https://mana.how/no"),
	}))(a.t).ID
}

func (a *account) subscriptionSession(price string) string {
	a.t.Helper()
	return must(a.client.V1CheckoutSessions.Create(a.ctx, &stripe.CheckoutSessionCreateParams{
		Mode: stripe.String("subscription"), Customer: stripe.String(a.customer),
		LineItems:        []*stripe.CheckoutSessionCreateLineItemParams{{Price: stripe.String(price), Quantity: stripe.Int64(1)}},
		SubscriptionData: &stripe.CheckoutSessionCreateSubscriptionDataParams{Metadata: map[string]string{"userId": "u1"}},
		SuccessURL:       stripe.String("https://mana.how/ok"), CancelURL: stripe.String("https://mana.how/no"),
	}))(a.t).ID
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused checks that an error is a refusal of Stripe with this status, type,
// code and parameter.
func refused(t *testing.T, err error, status int, kind stripe.ErrorType, code stripe.ErrorCode, param string) {
	t.Helper()
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		t.Fatalf("error %v, want one of Stripe", err)
	}
	same(t, "refusal", []any{status, kind, code, param}, []any{answer.HTTPStatusCode, answer.Type, answer.Code, answer.Param})
	if answer.Msg == "" {
		t.Error("no message")
	}
}
