package stripetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

func TestCustomer(t *testing.T) {
	t.Parallel()
	a := open(t)
	got := must(a.client.V1Customers.Retrieve(a.ctx, a.customer, nil))(t)
	same(t, "created", []any{"ada@example.org", map[string]string{"userId": "u1"}, a.Now().Unix()}, []any{got.Email, got.Metadata, got.Created})

	update := &stripe.CustomerUpdateParams{Name: stripe.String("Ada"), Metadata: map[string]string{"userId": "", "plan": "pro"}}
	got = must(a.client.V1Customers.Update(a.ctx, a.customer, update))(t)
	same(t, "merged", []any{"Ada", "ada@example.org", map[string]string{"plan": "pro"}}, []any{got.Name, got.Email, got.Metadata})
	events := a.Events().Of("customer.updated")
	same(t, "previous", `{"metadata":{"userId":"u1"},"name":null}`, string(events[0].Previous))

	gone := must(a.client.V1Customers.Delete(a.ctx, a.customer, nil))(t)
	same(t, "deleted", true, gone.Deleted)
	same(t, "retrieved", true, must(a.client.V1Customers.Retrieve(a.ctx, a.customer, nil))(t).Deleted)
	_, err := a.client.V1Customers.Update(a.ctx, a.customer, update)
	refused(t, err, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "customer")
	_, err = a.client.V1PaymentIntents.Create(a.ctx, &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(500), Currency: stripe.String("eur"), Customer: stripe.String(a.customer),
	})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "customer")
	_, err = a.client.V1Customers.Retrieve(a.ctx, "cus_none", nil)
	refused(t, err, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "customer")
}

func TestDeletedCustomerLosesSubscriptions(t *testing.T) {
	t.Parallel()
	a := open(t)
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), nil).Object("subscription")
	must(a.client.V1Customers.Delete(a.ctx, a.customer, nil))(t)
	got := must(a.client.V1Subscriptions.Retrieve(a.ctx, sub, nil))(t)
	same(t, "status", stripe.SubscriptionStatusCanceled, got.Status)
	same(t, "event", 1, len(a.Events().Of("customer.subscription.deleted")))
}

func TestListPages(t *testing.T) {
	t.Parallel()
	a := open(t)
	for i := range 24 {
		a.Advance(time.Second)
		must(a.client.V1Customers.Create(a.ctx, &stripe.CustomerCreateParams{Email: stripe.String(fmt.Sprintf("%d@x.de", i%2))}))(t)
	}
	emails := func(params *stripe.CustomerListParams) []string {
		var out []string
		for _, c := range all(t, a.client.V1Customers.List(a.ctx, params).All(a.ctx)) {
			out = append(out, c.ID)
		}
		return out
	}
	every := emails(&stripe.CustomerListParams{})
	same(t, "all over three pages", 25, len(every))
	same(t, "newest first", []string{"cus_000025", "cus_000001"}, []string{every[0], every[24]})
	same(t, "by address", 12, len(emails(&stripe.CustomerListParams{Email: stripe.String("1@x.de")})))
	since := &stripe.RangeQueryParams{GreaterThan: a.Now().Add(-5 * time.Second).Unix(), LesserThanOrEqual: a.Now().Unix() - 1}
	same(t, "by time", every[1:5], emails(&stripe.CustomerListParams{CreatedRange: since}))
	before := &stripe.CustomerListParams{}
	before.EndingBefore = stripe.String(every[20])
	before.Limit = stripe.Int64(3)
	before.Single = true
	same(t, "page before", every[17:20], func() []string {
		got := emails(before)
		if len(got) == 3 && got[0] != every[17] { // the client turns such a page round
			got[0], got[2] = got[2], got[0]
		}
		return got
	}())
}
