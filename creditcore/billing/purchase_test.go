package billing_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/stripetest"
)

// A purchase from its beginning to the credits.
func TestBuy(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	begun, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Purchase(t.Context(), alice, begun.PurchaseID)
	if err != nil || p.StripePaymentIntentID == nil || p.StripeCustomerID == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	intent := stripetest.Object[stripe.PaymentIntent](s.stripe, *p.StripePaymentIntentID)
	want := map[string]string{"userId": "alice", "packageId": packageID, "purchaseId": begun.PurchaseID}
	if diff := cmp.Diff(want, intent.Metadata); diff != "" || intent.Amount != packCents || intent.Currency != "eur" ||
		intent.Customer.ID != *p.StripeCustomerID || intent.AutomaticPaymentMethods == nil || !intent.AutomaticPaymentMethods.Enabled {
		t.Errorf("intent %+v\n%s", intent, diff)
	}
	if begun.ClientSecret != intent.ClientSecret || begun.PriceEuroCents != packCents || begun.Credits != creditcore.Credits(packCredits) || begun.Replayed {
		t.Errorf("begun: %+v", begun)
	}
	customer := stripetest.Object[stripe.Customer](s.stripe, *p.StripeCustomerID)
	if customer.Email != "alice@example.com" || customer.Metadata["userId"] != "alice" {
		t.Errorf("customer: %s, %v", customer.Email, customer.Metadata)
	}
	s.wantBalance("alice", 0)

	s.deliver(s.stripe.Pay(intent.ID)...)
	s.wantStatus(begun.PurchaseID, purchase.Completed)
	s.wantBalance("alice", packCredits)
	entries, err := s.ledger.History(t.Context(), alice, 10, 0)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v, %v", entries, err)
	}
	e := entries[0]
	var metadata map[string]any
	if err := json.Unmarshal(e.Metadata, &metadata); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]any{
		"purchaseId": begun.PurchaseID, "packageId": packageID, "stripePaymentIntentId": intent.ID, "priceEuroCents": 999.0,
	}, metadata); diff != "" {
		t.Error(diff)
	}
	if e.Type != creditcore.Purchase || e.AppID != "stripe" || e.Description != "Credit purchase: 1000 credits" || e.IdempotencyKey != nil {
		t.Errorf("entry: %+v", e)
	}
	list, err := s.Purchases(t.Context(), alice)
	if err != nil || len(list) != 1 || list[0].CompletedAt == nil || list[0].Status != purchase.Completed || *list[0].PackageID != packageID {
		t.Errorf("%+v, %v", list, err)
	}
	if s.told("purchase completed") != 1 || s.told("webhook payment_intent.succeeded applied") != 1 {
		t.Errorf("observed %v", s.seen)
	}
}

// A payment link from its beginning to the credits.
func TestPaymentLink(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	made, err := s.PaymentLink(t.Context(), alice, purchase.LinkOrder{
		PackageID: packageID, SuccessURL: "https://chat.mana.how/paid", RoomID: "!room",
	})
	if err != nil {
		t.Fatal(err)
	}
	sessionID := s.text(`SELECT stripe_session_id FROM credits.purchases WHERE id = $1`, made.PurchaseID)
	session := stripetest.Object[stripe.CheckoutSession](s.stripe, sessionID)
	if made.URL != session.URL || made.PackageName != "Large" || made.Credits != creditcore.Credits(packCredits) ||
		made.PriceEuroCents != packCents || made.ExpiresAt.Unix() != session.ExpiresAt ||
		made.ExpiresAt.Sub(s.stripe.Now().Add(24*time.Hour)).Abs() > time.Minute {
		t.Errorf("link: %+v", made)
	}
	if session.SuccessURL != "https://chat.mana.how/paid" || session.CancelURL != "https://mana.how/credits/cancelled" ||
		session.AmountTotal != packCents || session.Metadata["purchaseId"] != made.PurchaseID || session.Metadata["roomId"] != "!room" {
		t.Errorf("session: %+v", session)
	}
	if diff := cmp.Diff([]string{"card", "sepa_debit"}, session.PaymentMethodTypes); diff != "" {
		t.Error(diff)
	}
	if got := s.text(`SELECT metadata FROM credits.purchases WHERE id = $1`, made.PurchaseID); !strings.Contains(got, sessionID) || !strings.Contains(got, "!room") {
		t.Errorf("metadata: %s", got)
	}
	s.deliver(s.stripe.Pay(sessionID)...)
	s.wantStatus(made.PurchaseID, purchase.Completed)
	s.wantBalance("alice", packCredits)
	if s.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE id = $1`, made.PurchaseID) == "" {
		t.Error("the payment is not stored")
	}
}

// Our own pages stand under mana.how, or where base_url is.
func TestDefaultReturnURLs(t *testing.T) {
	t.Parallel()
	for base, site := range map[string]string{
		"https://auth.mana.how":    "https://mana.how",
		"https://mana.how":         "https://mana.how",
		"https://auth.example.org": "https://auth.example.org",
		"https://mana.how.evil":    "https://mana.how.evil",
	} {
		s := newTill(t, func(c *billing.Config) { c.BaseURL = base })
		id, sessionID := s.link(s.user("alice"))
		session := stripetest.Object[stripe.CheckoutSession](s.stripe, sessionID)
		if session.SuccessURL != site+"/credits/success?purchase_id="+id || session.CancelURL != site+"/credits/cancelled" {
			t.Errorf("%s: %s, %s", base, session.SuccessURL, session.CancelURL)
		}
	}
}

func TestReturnURLs(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	for field, o := range map[string]purchase.LinkOrder{
		"successUrl": {PackageID: packageID, SuccessURL: "https://evil.example/"},
		"cancelUrl":  {PackageID: packageID, SuccessURL: "https://chat.mana.how/a", CancelURL: "https://evil.example/"},
	} {
		_, err := s.PaymentLink(t.Context(), alice, o)
		var refused *stripeapi.ReturnURLError
		if !errors.As(err, &refused) || refused.Field != field || err.Error() != field+" is not a trusted origin" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if n := s.count(`SELECT count(*) FROM credits.purchases`); n != 0 {
		t.Errorf("%d purchases", n)
	}
	own := newTill(t, func(c *billing.Config) { c.ReturnURL = nil })
	for raw, want := range map[string]bool{
		"https://auth.mana.how/a": true, "https://AUTH.mana.how": true, "http://auth.mana.how/a": false, "https://auth.mana.how:444/": false,
		"https://x@auth.mana.how/": false, "https://chat.mana.how/": false, "/a": false, "": false, "manacore://a": false, "https://auth.mana.how.evil/": false,
	} {
		if own.AllowsReturn(raw) != want {
			t.Errorf("%q: want %t", raw, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	s.exec(`INSERT INTO credits.packages (id, name, credits, price_euro_cents, active) VALUES ('off', 'Off', 1000, 1, false)`)
	gone := s.user("gone")
	s.exec(`UPDATE auth.users SET deleted_at = now() WHERE id = 'gone'`)
	nobody := creditcore.Caller{UserID: "nobody"}
	for name, c := range map[string]struct {
		caller creditcore.Caller
		order  purchase.Order
		want   error
	}{
		"unknown package":  {alice, purchase.Order{PackageID: "none"}, catalog.ErrPackageNotFound},
		"inactive package": {alice, purchase.Order{PackageID: "off"}, catalog.ErrPackageNotFound},
		"closed account":   {gone, purchase.Order{PackageID: packageID}, stripeapi.ErrUserNotFound},
		"no account":       {nobody, purchase.Order{PackageID: packageID}, stripeapi.ErrUserNotFound},
		"long key":         {alice, purchase.Order{PackageID: packageID, Key: strings.Repeat("ü", 256)}, creditcore.ErrInvalid},
	} {
		if _, err := s.Buy(t.Context(), c.caller, c.order); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.PaymentLink(t.Context(), c.caller, purchase.LinkOrder{PackageID: c.order.PackageID, Key: c.order.Key}); !errors.Is(err, c.want) {
			t.Errorf("link, %s: %v", name, err)
		}
	}
	id, _ := s.buy(alice)
	for _, c := range []creditcore.Caller{s.user("bob"), {UserID: "root", Role: "admin"}} {
		if _, err := s.Purchase(t.Context(), c, id); !errors.Is(err, purchase.ErrNotFound) {
			t.Errorf("purchase of another: %v", err)
		}
		if list, err := s.Purchases(t.Context(), c); len(list) != 0 || err != nil {
			t.Errorf("purchases of another: %v, %v", list, err)
		}
	}
	if _, err := s.Purchase(t.Context(), alice, "no-uuid"); !errors.Is(err, purchase.ErrNotFound) {
		t.Errorf("unknown purchase: %v", err)
	}
	bare := billing.New(billing.Config{}, billing.Deps{Pool: s.db.Pool, Ledger: s.ledger})
	if _, err := bare.Buy(t.Context(), alice, purchase.Order{PackageID: packageID}); !errors.Is(err, stripeapi.ErrNotConfigured) {
		t.Errorf("without Stripe: %v", err)
	}
	if _, err := bare.PaymentLink(t.Context(), alice, purchase.LinkOrder{PackageID: packageID}); !errors.Is(err, stripeapi.ErrNotConfigured) {
		t.Errorf("without Stripe: %v", err)
	}
}

// The same key and request give the same purchase; another request under the
// key is refused.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice, bob := s.user("alice"), s.user("bob")
	order := purchase.Order{PackageID: packageID, Key: "k1"}
	first, err := s.Buy(t.Context(), alice, order)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Buy(t.Context(), alice, order)
	if !again.Replayed || err != nil {
		t.Errorf("again: %+v, %v", again, err)
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	s.exec(`INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES ('other', 'Other', 1000, 50)`)
	if _, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: "other", Key: "k1"}); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("another package: %v", err)
	}
	if _, err := s.PaymentLink(t.Context(), alice, purchase.LinkOrder{PackageID: packageID, Key: "k1"}); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("a link: %v", err)
	}
	if his, err := s.Buy(t.Context(), bob, order); err != nil || his.PurchaseID == first.PurchaseID {
		t.Errorf("another user: %+v, %v", his, err)
	}
	// Off sale by now, and yet the answer of then.
	s.exec(`UPDATE credits.packages SET active = false`)
	if again, err := s.Buy(t.Context(), alice, order); err != nil || again.PurchaseID != first.PurchaseID {
		t.Errorf("off sale: %+v, %v", again, err)
	}
	s.exec(`UPDATE credits.packages SET active = true`)

	linkOrder := purchase.LinkOrder{PackageID: packageID, SuccessURL: "https://chat.mana.how/a", Key: "k2"}
	link, err := s.PaymentLink(t.Context(), alice, linkOrder)
	if err != nil {
		t.Fatal(err)
	}
	s.stripe.Advance(time.Minute)
	linked, err := s.PaymentLink(t.Context(), alice, linkOrder)
	if !linked.Replayed || err != nil {
		t.Errorf("again: %+v, %v", linked, err)
	}
	linked.Replayed = false
	if diff := cmp.Diff(link, linked); diff != "" {
		t.Error(diff)
	}
	linkOrder.SuccessURL = "https://chat.mana.how/b"
	if _, err := s.PaymentLink(t.Context(), alice, linkOrder); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("another address: %v", err)
	}
}

// Twins under one key become one purchase with one payment.
func TestConcurrentTwins(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	intents, links := make([]purchase.Intent, 8), make([]purchase.PaymentLink, 8)
	var all sync.WaitGroup
	for i := range intents {
		all.Go(func() {
			var err error
			if intents[i], err = s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID, Key: "buy"}); err != nil {
				t.Error(err)
			}
			if links[i], err = s.PaymentLink(t.Context(), alice, purchase.LinkOrder{PackageID: packageID, Key: "link"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range intents {
		if intents[i].PurchaseID != intents[0].PurchaseID || intents[i].ClientSecret != intents[0].ClientSecret || links[i].URL != links[0].URL {
			t.Errorf("twin %d: %+v, %+v", i, intents[i], links[i])
		}
	}
	if n := s.count(`SELECT count(*) FROM credits.purchases`); n != 2 {
		t.Errorf("%d purchases", n)
	}
	if n := s.count(`SELECT count(*) FROM credits.stripe_customers`); n != 1 {
		t.Errorf("%d customers", n)
	}
}

// Any number of first purchases at once make one customer.
func TestParallelFirstPurchases(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	// Two processes, so that more than one lock has to hold.
	other := billing.New(billing.Config{SecretKey: s.stripe.Key, APIURL: s.stripe.URL, BaseURL: "https://auth.mana.how"},
		billing.Deps{Pool: s.db.Pool, Ledger: s.ledger, Now: s.stripe.Now})
	alice := s.user("alice")
	var all sync.WaitGroup
	for i := range 10 {
		service := s.Service
		if i%2 == 1 {
			service = other
		}
		all.Go(func() {
			if _, err := service.Buy(t.Context(), alice, purchase.Order{PackageID: packageID}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.count(`SELECT count(DISTINCT stripe_customer_id) FROM credits.purchases`); n != 1 {
		t.Errorf("%d customers", n)
	}
	var made int
	for customer, err := range s.stripe.Client().V1Customers.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		made++
		_ = customer
	}
	if made != 1 {
		t.Errorf("%d customers at Stripe", made)
	}
}
