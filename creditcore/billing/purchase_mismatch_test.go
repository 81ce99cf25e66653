package billing_test

import (
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/internal/stripetest"
)

// intent makes a payment at Stripe that our code did not ask for.
func (s *till) intent(cents int64, currency string, metadata map[string]string) string {
	s.t.Helper()
	made, err := s.stripe.Client().V1PaymentIntents.Create(s.t.Context(), &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(cents), Currency: stripe.String(currency), Metadata: metadata,
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// A payment that is none of ours is none of our business.
func TestForeignPayments(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, _ := s.buy(s.user("alice"))
	for name, metadata := range map[string]map[string]string{
		"without metadata":           nil,
		"of another shop":            {"order": "7"},
		"of a purchase no one began": {"purchaseId": "6f1a3c52-1d3e-4f0a-9b1e-000000000009"},
	} {
		id := s.intent(packCents, "eur", metadata)
		events := relevant(s.stripe.Pay(id))
		events = append(events, relevant(s.stripe.Refund(id, 100))...)
		events = append(events, relevant(s.stripe.Dispute(id, 100))...)
		before := s.told("webhook charge.refunded foreign")
		s.deliver(events...)
		s.deliver(events...)
		if s.told("webhook charge.refunded foreign") != before+1 {
			t.Errorf("%s: observed %v", name, s.seen)
		}
	}
	s.wantStatus(purchaseID, purchase.Pending)
	s.wantBalance("alice", 0)
}

// What was paid must be what our own row asks for.
func TestMismatch(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(s *till, intentID string){
		"one cent":     func(s *till, id string) { s.stripe.Set(id, "amount", 1); s.stripe.Set(id, "amount_received", 1) },
		"too much":     func(s *till, id string) { s.stripe.Set(id, "amount", 1000); s.stripe.Set(id, "amount_received", 1000) },
		"paid in part": func(s *till, id string) { s.stripe.SetAmountReceived(id, 998) },
		"other money":  func(s *till, id string) { s.stripe.SetCurrency(id, "usd") },
		"test or live": func(s *till, id string) { s.stripe.Set(id, "livemode", true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			purchaseID, intentID := s.buy(s.user("alice"))
			events := relevant(s.stripe.Pay(intentID))
			spoil(s, intentID)
			s.deliver(events...)
			s.wantStatus(purchaseID, purchase.Pending)
			s.wantBalance("alice", 0)
			if s.told("webhook payment_intent.succeeded refused") != 1 || s.told("purchase mismatch") != len(events) {
				t.Errorf("observed %v", s.seen)
			}
			s.stripe.Advance(reconcileAfter)
			drift, err := s.Reconcile(t.Context())
			if err != nil || drift != (purchase.Drift{Mismatched: 1}) || s.told("drift mismatched") != 1 {
				t.Errorf("drift %+v, %v", drift, err)
			}
			s.wantBalance("alice", 0)
		})
	}
}

// A purchase is paid by one payment: a second one that names it is not
// credited but reported.
func TestSecondPayment(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	s.deliver(s.stripe.Pay(intentID)...)
	second := s.intent(packCents, "eur", map[string]string{"purchaseId": purchaseID})
	s.deliver(s.stripe.Pay(second)...)
	s.wantBalance("alice", packCredits)
	if s.told("purchase mismatch") == 0 {
		t.Errorf("observed %v", s.seen)
	}
	s.deliver(s.stripe.Refund(second, 0)...)
	s.wantBalance("alice", packCredits)
}

// The session's event may come late or never: the intent itself names its
// purchase.
func TestLinkWithoutSessionEvent(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, sessionID := s.link(s.user("alice"))
	for _, e := range relevant(s.stripe.Pay(sessionID)) {
		if e.Type != "checkout.session.completed" {
			s.deliver(e)
		}
	}
	s.wantStatus(purchaseID, purchase.Completed)
	s.wantBalance("alice", packCredits)
}

// A purchase of the replaced service: its intent has no metadata and its row no
// intent. The session's event ties them together.
func TestLinkOfTheReplacedService(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, sessionID := s.link(s.user("alice"))
	s.exec(`UPDATE credits.purchases SET stripe_session_id = NULL, expires_at = NULL, kind = 'intent' WHERE id = $1`, purchaseID)
	events := relevant(s.stripe.Pay(sessionID))
	session := stripetest.Object[stripe.CheckoutSession](s.stripe, sessionID)
	s.stripe.Set(session.PaymentIntent.ID, "metadata", map[string]any{})
	for _, e := range events {
		if e.Type != "checkout.session.completed" {
			s.deliver(e)
		}
	}
	for _, e := range events {
		if e.Type == "checkout.session.completed" {
			s.deliver(e)
		}
	}
	s.wantStatus(purchaseID, purchase.Completed)
	s.wantBalance("alice", packCredits)
}

// A client's key never meets ours.
func TestKeysHaveTheirOwnNamespace(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	_, err := s.ledger.Grant(t.Context(), creditcore.Grant{UserID: "alice", Amount: creditcore.Credits(1), Type: creditcore.Gift, Source: creditcore.SourceAdmin})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"purchase:" + intentID, "purchase:" + purchaseID} {
		_, err := s.ledger.Debit(t.Context(), creditcore.Debit{UserID: "alice", Amount: creditcore.Credit / 2, AppID: "chat", Key: key})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.deliver(s.stripe.Pay(intentID)...)
	s.wantBalance("alice", packCredits)
}

// A balance that can hold no more is no reason to be asked for ever; once
// there is room, the reconcile job makes up for it.
func TestFullAccount(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	purchaseID, intentID := s.buy(alice)
	s.wantBalance("alice", 0)
	s.exec(`UPDATE credits.balances SET balance = 9223372036854775000, total_earned = 9223372036854775000 WHERE user_id = 'alice'`)
	s.deliver(s.stripe.Pay(intentID)...)
	s.wantStatus(purchaseID, purchase.Pending)
	if s.told("webhook payment_intent.succeeded refused") != 1 {
		t.Errorf("observed %v", s.seen)
	}
	s.exec(`UPDATE credits.balances SET balance = 0, total_earned = 0 WHERE user_id = 'alice'`)
	s.stripe.Advance(reconcileAfter)
	if drift, err := s.Reconcile(t.Context()); err != nil || drift != (purchase.Drift{Uncredited: 1}) {
		t.Errorf("drift %+v, %v", drift, err)
	}
	s.wantStatus(purchaseID, purchase.Completed)
	s.wantBalance("alice", packCredits)
}
