package billing_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/stripetest"
)

// A payment that cannot be arranged is a failed purchase, a text without
// secrets, and a key that may be used again.
func TestStripeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trouble func(s *stripetest.Server, path string)
		text    string // of a PaymentError; empty: the sentinel
	}{
		"declined":     {func(s *stripetest.Server, path string) { s.FailNext("POST", path, 402, 1) }, "Your card was declined."},
		"unauthorised": {func(s *stripetest.Server, path string) { s.FailNext("POST", path, 401, 1) }, "not authorised"},
		"too many":     {func(s *stripetest.Server, path string) { s.FailNext("POST", path, 429, 1) }, "too many requests, please retry"},
		"broken":       {func(s *stripetest.Server, path string) { s.FailNext("POST", path, 500, 1) }, "temporarily unavailable, please retry"},
		"lost":         {func(s *stripetest.Server, path string) { s.LoseNext("POST", path, 3) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			alice := s.user("alice")
			check := func(err, sentinel error) {
				t.Helper()
				var refused *stripeapi.PaymentError
				switch {
				case c.text == "" && !errors.Is(err, sentinel):
					t.Errorf("%v, want %v", err, sentinel)
				case c.text != "" && (!errors.As(err, &refused) || refused.Error() != "Payment service error: "+c.text):
					t.Errorf("%v, want %s", err, c.text)
				}
			}
			order := purchase.Order{PackageID: packageID, Key: "buy"}
			c.trouble(s.stripe, "/v1/payment_intents")
			_, err := s.Buy(t.Context(), alice, order)
			check(err, purchase.ErrIntent)
			linkOrder := purchase.LinkOrder{PackageID: packageID, Key: "link"}
			c.trouble(s.stripe, "/v1/checkout/sessions")
			_, err = s.PaymentLink(t.Context(), alice, linkOrder)
			check(err, stripeapi.ErrCheckout)
			if n := s.count(`SELECT count(*) FROM credits.purchases WHERE status = 'failed' AND idempotency_key IS NULL
				AND metadata ? 'failureReason' AND metadata ? 'failedAt'`); n != 2 {
				t.Errorf("%d failed purchases", n)
			}
			if again, err := s.Buy(t.Context(), alice, order); err != nil || again.Replayed {
				t.Errorf("again: %+v, %v", again, err)
			}
			if again, err := s.PaymentLink(t.Context(), alice, linkOrder); err != nil || again.Replayed {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

func TestCustomerCannotBeMade(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.stripe.FailNext("POST", "/v1/customers", 500, 1)
	if _, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID}); !errors.Is(err, stripeapi.ErrCustomer) || strings.Contains(err.Error(), s.stripe.Key) {
		t.Errorf("%v", err)
	}
	if n := s.count(`SELECT count(*) FROM credits.purchases`); n != 0 {
		t.Errorf("%d purchases", n)
	}
	s.stripe.Advance(time.Hour) // Stripe repeats its failure to whoever repeats the key
	s.buy(alice)
}

// An answer that is lost once does not make a second customer or payment.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	s.stripe.LoseNext("POST", "/v1/customers", 1)
	s.stripe.LoseNext("POST", "/v1/payment_intents", 1)
	purchaseID, intentID := s.buy(s.user("alice"))
	if intentID != "pi_000001" || s.text(`SELECT stripe_customer_id FROM credits.stripe_customers`) != "cus_000001" {
		t.Error("a twin was made")
	}
	s.deliver(s.stripe.Pay(intentID)...)
	s.wantStatus(purchaseID, purchase.Completed)
}

// The customer was made under another address, and nobody heard of it.
func TestAddressChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.stripe.LoseNext("POST", "/v1/customers", 3)
	if _, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID}); !errors.Is(err, stripeapi.ErrCustomer) {
		t.Errorf("%v", err)
	}
	s.exec(`UPDATE auth.users SET email = 'new@example.com' WHERE id = 'alice'`)
	s.buy(alice)
	id := s.text(`SELECT stripe_customer_id FROM credits.stripe_customers`)
	if got := stripetest.Object[stripe.Customer](s.stripe, id); got.Email != "new@example.com" {
		t.Errorf("customer of %s", got.Email)
	}
}

// A customer that was deleted at Stripe is replaced, also for a purchase that
// is under way.
func TestCustomerDeletedAtStripe(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.buy(alice)
	gone := s.text(`SELECT stripe_customer_id FROM credits.stripe_customers`)
	if _, err := s.stripe.Client().V1Customers.Delete(t.Context(), gone, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		purchaseID, _ := s.buy(alice)
		linkID, sessionID := s.link(alice)
		for _, id := range []string{purchaseID, linkID} {
			if got := s.text(`SELECT stripe_customer_id FROM credits.purchases WHERE id = $1`, id); got == gone {
				t.Error("the deleted customer is kept")
			}
		}
		s.deliver(s.stripe.Pay(sessionID)...)
		s.wantStatus(linkID, purchase.Completed)
	}
	if n := s.count(`SELECT count(DISTINCT stripe_customer_id) FROM credits.purchases`); n != 2 {
		t.Errorf("%d customers", n)
	}
}

// A customer of test mode is none of live mode.
func TestCustomerOfTheOtherMode(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.exec(`INSERT INTO credits.stripe_customers (user_id, stripe_customer_id, livemode) VALUES ('alice', 'cus_live', true)`)
	s.buy(alice)
	if id := s.text(`SELECT stripe_customer_id FROM credits.stripe_customers WHERE NOT livemode`); id != "cus_000001" {
		t.Errorf("customer %q", id)
	}
}

// A client that leaves while Stripe is silent leaves no purchase pending.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.buy(alice)
	s.stripe.HangNext("POST", "/v1/payment_intents", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := s.Buy(ctx, alice, purchase.Order{PackageID: packageID}); !errors.Is(err, purchase.ErrIntent) {
		t.Errorf("%v", err)
	}
	if n := s.count(`SELECT count(*) FROM credits.purchases WHERE status = 'failed'`); n != 1 {
		t.Errorf("%d failed", n)
	}
}

// While an effect is made of a payment, the payment moves on and another
// delivery is faster: the slow one must not put the old state back.
func TestStaleEffect(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	paid := relevant(s.stripe.Pay(intentID))
	var once atomic.Bool
	s.stripe.OnRequest(func(r stripetest.Request) {
		// The slow one has its copy of the payment and asks for disputes.
		if r.Path == "/v1/disputes" && once.CompareAndSwap(false, true) {
			s.deliver(s.stripe.Refund(intentID, 0)...)
			s.wantStatus(purchaseID, purchase.Completed)
			s.wantBalance("alice", 0)
		}
	})
	s.deliver(paid[0])
	s.wantBalance("alice", 0)
	if !once.Load() || s.count(`SELECT reversed_euro_cents FROM credits.purchases`) != packCents {
		t.Error("the old state was put back")
	}
}

// Events are remembered, and forgotten long after Stripe repeats them.
func TestEventsAreRemembered(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	_, intentID := s.buy(s.user("alice"))
	events := relevant(s.stripe.Pay(intentID))
	s.deliver(events...)
	calls := s.stripe.Count("", "/v1/")
	s.deliver(events...)
	if n := s.stripe.Count("", "/v1/"); n != calls {
		t.Errorf("%d questions about duplicates", n-calls)
	}
	if s.told("webhook payment_intent.succeeded duplicate") != 1 {
		t.Errorf("observed %v", s.seen)
	}
	want := "payment_intent.succeeded " + intentID + " applied"
	if got := s.text(`SELECT type || ' ' || object_id || ' ' || outcome FROM credits.stripe_events WHERE id = $1`, events[0].ID); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
