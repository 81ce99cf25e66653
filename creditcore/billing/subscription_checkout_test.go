package billing_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/internal/stripetest"
)

func (p *newsstand) subscribe(o subscription.Order) subscription.Checkout {
	p.t.Helper()
	k, err := p.Subscribe(p.t.Context(), p.alice, o)
	if err != nil || k.SessionID == "" || k.URL == "" {
		p.t.Fatalf("%+v, %v", k, err)
	}
	return k
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	first := p.subscribe(p.order("Plus", catalog.Monthly))
	if again := p.subscribe(p.order("Plus", "")); again != first {
		t.Errorf("the same order again: %+v, then %+v", first, again)
	}
	session := stripetest.Object[stripe.CheckoutSession](srv, first.SessionID)
	if session.Metadata["userId"] != "alice" || session.Metadata["planId"] != p.planID("Plus") || session.Metadata["billingInterval"] != "month" {
		t.Errorf("metadata: %v", session.Metadata)
	}
	second := p.subscribe(p.order("Plus", catalog.Yearly))
	if first == second {
		t.Fatal("another order led to the same page")
	}
	if s := stripetest.Object[stripe.CheckoutSession](srv, first.SessionID); s.Status != stripe.CheckoutSessionStatusExpired {
		t.Errorf("the page before is %s", s.Status)
	}
	// Paid, and the event is late: nobody can pay twice.
	paid := srv.Pay(second.SessionID)
	if _, err := p.Subscribe(t.Context(), p.alice, p.order("Plus", catalog.Yearly)); !errors.Is(err, subscription.ErrSubscribed) {
		t.Errorf("paid, before the events: %v", err)
	}
	p.deliver(paid...)
	if _, err := p.Subscribe(t.Context(), p.alice, p.order("Pro", catalog.Monthly)); !errors.Is(err, subscription.ErrSubscribed) {
		t.Errorf("paid: %v", err)
	}
	p.wantBalance("the first month of a year", "100")
	// Ended: another one may begin.
	p.deliver(srv.EndSubscription(paid.Object("subscription"))...)
	if third := p.subscribe(p.order("Plus", catalog.Yearly)); third == second {
		t.Error("the page of a subscription that has ended")
	}
}

func TestSubscribeRefusals(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.exec(`UPDATE subscriptions.plans SET active = false WHERE name = 'Pro'`)
	pro := p.planID("Pro")
	order := func(change func(*subscription.Order)) subscription.Order {
		o := p.order("Plus", catalog.Monthly)
		change(&o)
		return o
	}
	for what, c := range map[string]struct {
		order subscription.Order
		want  error
	}{
		"unknown plan":     {order(func(o *subscription.Order) { o.PlanID = "x" }), catalog.ErrPlanNotFound},
		"inactive plan":    {order(func(o *subscription.Order) { o.PlanID = pro }), catalog.ErrPlanNotFound},
		"no yearly price":  {p.order("Ultra", catalog.Yearly), catalog.ErrNoYearlyPrice},
		"no monthly price": {p.order("Free", catalog.Monthly), catalog.ErrNoMonthlyPrice},
	} {
		if _, err := p.Subscribe(t.Context(), p.alice, c.order); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := p.Subscribe(t.Context(), creditcore.Caller{UserID: "nobody"}, p.order("Plus", "")); !errors.Is(err, stripeapi.ErrUserNotFound) {
		t.Errorf("nobody: %v", err)
	}
	var address *stripeapi.ReturnURLError
	away := order(func(o *subscription.Order) { o.CancelURL = "https://evil.example/" })
	if _, err := p.Subscribe(t.Context(), p.alice, away); !errors.As(err, &address) || address.Field != "cancelUrl" {
		t.Errorf("another site: %v", err)
	}
	srv.FailNext(http.MethodPost, "/v1/checkout/sessions", 402, 1)
	var refused *stripeapi.PaymentError
	if _, err := p.Subscribe(t.Context(), p.alice, p.order("Plus", "")); !errors.As(err, &refused) {
		t.Errorf("refused by Stripe: %v", err)
	}
	p.subscribe(p.order("Plus", ""))
}

// However many ask at once, one page is open in the end, and one subscription
// can be paid.
func TestParallelCheckouts(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	orders := []subscription.Order{p.order("Plus", catalog.Monthly), p.order("Pro", catalog.Monthly)}
	for name, n := range map[string]int{"of the same order": 1, "of two orders": 2} {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := p.Subscribe(t.Context(), p.alice, orders[i%n])
				if err != nil && (n == 1 || !errors.Is(err, stripeapi.ErrCheckout)) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		open := 0
		sessions := srv.Client().V1CheckoutSessions.List(t.Context(), &stripe.CheckoutSessionListParams{Status: stripe.String("open")})
		for _, err := range sessions.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			open++
		}
		if open != 1 {
			t.Errorf("%s: %d pages are open", name, open)
		}
	}
	if n := len(read[struct{ UserID string }](p, `SELECT user_id FROM credits.stripe_customers`)); n != 1 {
		t.Errorf("%d customers", n)
	}
}

// The answer of Stripe was lost: the same order finds the page that was made.
func TestLostCheckout(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	srv.LoseNext(http.MethodPost, "/v1/checkout/sessions", 3)
	// The client may have found it by trying again.
	if _, err := p.Subscribe(t.Context(), p.alice, p.order("Plus", "")); err != nil && !errors.Is(err, stripeapi.ErrCheckout) {
		t.Fatalf("lost: %v", err)
	}
	p.subscribe(p.order("Plus", ""))
	made := 0
	for _, err := range srv.Client().V1CheckoutSessions.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		made++
	}
	if made != 1 {
		t.Errorf("%d pages were made", made)
	}
}
