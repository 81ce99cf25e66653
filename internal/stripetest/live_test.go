package stripetest_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// What is saved and loaded goes on: a subscription is renewed with every period
// that passes, and ends with the one it was cancelled in.
func TestTimePasses(t *testing.T) {
	before := stripetest.New(t)
	before.Live("http://pages.test/stripe")
	price := before.AddPrice("", 499, "month")
	customer, err := before.Client().V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Email: stripe.String("ada@example.test"), Metadata: map[string]string{"userId": "u"}})
	if err != nil {
		t.Fatal(err)
	}
	sub := before.Subscribe(customer.ID, price, map[string]string{"plan": "Plus"}).Object("subscription")
	saved, err := before.Save()
	if err != nil {
		t.Fatal(err)
	}
	srv := stripetest.New(t)
	srv.Live("http://pages.test/stripe")
	if err := srv.Load(saved); err != nil {
		t.Fatal(err)
	}
	paid := func() (n int) { return len(srv.Events().Of("invoice.paid")) }
	if events := srv.CatchUp(); len(events) != 0 || paid() != 1 {
		t.Errorf("without time: %v, %d paid", events.Types(), paid())
	}
	srv.Age(62 * 24 * time.Hour)
	srv.CatchUp()
	if paid() != 3 {
		t.Errorf("%d paid after two months", paid())
	}
	if got := stripetest.Object[stripe.Subscription](srv, sub); got.Items.Data[0].CurrentPeriodEnd <= srv.Now().Unix() || got.Metadata["plan"] != "Plus" {
		t.Errorf("renewed: %+v", got)
	}
	if got := stripetest.Object[stripe.Customer](srv, customer.ID); srv.Now().Unix()-got.Created < 62*24*3600 || got.Metadata["userId"] != "u" {
		t.Errorf("the customer: %+v", got)
	}
	if _, err := srv.Client().V1Subscriptions.Update(t.Context(), sub, &stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	srv.Age(62 * 24 * time.Hour)
	srv.CatchUp()
	if got := stripetest.Object[stripe.Subscription](srv, sub); got.Status != stripe.SubscriptionStatusCanceled || paid() != 3 {
		t.Errorf("cancelled: %s, %d paid", got.Status, paid())
	}
	if err := srv.Load([]byte("{")); err == nil {
		t.Error("half a file is loaded")
	}
}
