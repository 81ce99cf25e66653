package billing_test

import (
	"context"
	"testing"
	"time"

	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/purchase"
)

// reconcileAfter is longer than events are given to arrive.
const reconcileAfter = 10 * time.Minute

func (s *till) wantDrift(want purchase.Drift) {
	s.t.Helper()
	got, err := s.Reconcile(s.t.Context())
	if err != nil || got != want {
		s.t.Errorf("drift %+v, want %+v, %v", got, want, err)
	}
}

// Every event is lost, and still everything ends as it should.
func TestReconcile(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	paidID, paid := s.buy(s.user("paid"))
	linkedID, linked := s.link(s.user("linked"))
	_, refunded := s.buy(s.user("refunded"))
	_, disputed := s.buy(s.user("disputed"))
	_, won := s.buy(s.user("won"))
	failedID, failed := s.buy(s.user("failed"))
	openID, _ := s.buy(s.user("open"))
	for _, id := range []string{paid, linked, refunded, disputed, won} {
		s.stripe.Pay(id)
	}
	s.stripe.Refund(refunded, 333)
	s.stripe.FailCard(failed)
	s.wantDrift(purchase.Drift{Unreversed: 0}) // the events may still be on their way
	s.stripe.Advance(reconcileAfter)
	s.wantDrift(purchase.Drift{Uncredited: 5})
	s.wantDrift(purchase.Drift{})
	for _, id := range []string{paidID, linkedID} {
		s.wantStatus(id, purchase.Completed)
	}
	for _, id := range []string{failedID, openID} {
		s.wantStatus(id, purchase.Pending)
	}
	s.wantBalance("paid", 1000)
	s.wantBalance("linked", 1000)
	s.wantBalance("refunded", 667)

	s.stripe.Refund(refunded, 0)
	s.stripe.Dispute(disputed, 0)
	s.stripe.Dispute(won, 0)
	s.wantDrift(purchase.Drift{Unreversed: 3})
	s.stripe.WinDispute(won)
	s.wantDrift(purchase.Drift{Unreversed: 1})
	s.wantDrift(purchase.Drift{})
	s.wantBalance("refunded", 0)
	s.wantBalance("disputed", 0)
	s.wantBalance("won", 1000)
	if s.told("drift unreversed") != 0 || s.told("drift uncredited") != 0 {
		t.Errorf("observed %v", s.seen)
	}
}

// A refund of something bought long ago is found too.
func TestReconcileOldPayments(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	_, intentID := s.buy(s.user("alice"))
	s.deliver(s.stripe.Pay(intentID)...)
	s.stripe.Advance(60 * 24 * time.Hour)
	s.wantDrift(purchase.Drift{})
	s.stripe.Refund(intentID, 0)
	s.wantDrift(purchase.Drift{Unreversed: 1})
	s.wantBalance("alice", 0)
}

// What cannot be repaired is reported.
func TestReconcileReports(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	s.user("alice")
	s.intent(packCents, "eur", map[string]string{"purchaseId": "6f1a3c52-1d3e-4f0a-9b1e-000000000009"})
	s.intent(packCents, "eur", nil)
	s.exec(`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at, stripe_payment_intent_id)
		VALUES ('forged', 'alice', 1000, 1, 'completed', $1, 'pi_unknown')`, s.stripe.Now())
	s.wantDrift(purchase.Drift{Unknown: 1, Unpaid: 1})
	s.wantBalance("alice", 0)
	if s.told("drift unpaid") != 1 || s.told("drift unknown") != 1 || s.told("drift mismatched") != 0 {
		t.Errorf("observed %v", s.seen)
	}
}

// Purchases that nobody goes on with end; those a bank works on, and those
// that were paid after all, do not.
func TestExpireAbandoned(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	openID, open := s.buy(s.user("open"))
	_, linked := s.link(s.user("linked"))
	linkedID := s.text(`SELECT id FROM credits.purchases WHERE stripe_session_id = $1`, linked)
	paidID, paid := s.buy(s.user("paid"))
	bankID, bank := s.buy(s.user("bank"))
	s.exec(`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, created_at) VALUES ('crashed', 'open', 1000, 1, $1)`, s.stripe.Now())
	s.stripe.Pay(paid)
	s.stripe.PayAsync(bank)
	want := func(n int) {
		t.Helper()
		if got, err := s.ExpireAbandoned(t.Context()); got != n || err != nil {
			t.Errorf("%d expired, want %d, %v", got, n, err)
		}
	}
	s.stripe.Advance(23 * time.Hour)
	want(0)
	s.wantStatus(paidID, purchase.Pending)
	s.stripe.Advance(3 * time.Hour)
	want(2)
	want(0)
	s.wantStatus(openID, purchase.Failed)
	s.wantStatus(linkedID, purchase.Failed)
	s.wantStatus("crashed", purchase.Failed)
	s.wantStatus(paidID, purchase.Completed)
	s.wantStatus(bankID, purchase.Pending)
	s.wantBalance("paid", 1000)
	s.stripe.AsyncSucceed(bank)
	want(0)
	s.wantStatus(bankID, purchase.Completed)

	// Paid after its end, it is credited none the less.
	s.deliver(s.stripe.Pay(open)...)
	s.wantStatus(openID, purchase.Completed)
	s.wantBalance("open", 1000)
	if s.told("purchase expired") != 2 {
		t.Errorf("observed %v", s.seen)
	}
}

// Run does the jobs at once and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	s.stripe.Pay(intentID)
	s.stripe.Advance(reconcileAfter)
	s.buy(s.user("gone"))
	s.exec(`UPDATE auth.users SET deleted_at = now() WHERE id = 'gone'`)
	s.exec(`INSERT INTO credits.stripe_events (id, type, livemode, outcome, created_at, received_at)
		VALUES ('evt_old', 'charge.refunded', false, 'applied', now(), now() - interval '91 days'),
			('evt_new', 'charge.refunded', false, 'applied', now(), now() - interval '89 days')`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for (s.status(purchaseID) != purchase.Completed || s.count(`SELECT count(email) FROM credits.stripe_customers`) > 1) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.text(`SELECT string_agg(email, ' ') FROM credits.stripe_customers`); got != "alice@example.com" {
		t.Errorf("addresses kept: %s", got)
	}
	if got := s.text(`SELECT string_agg(id, ' ') FROM credits.stripe_events`); got != "evt_new" {
		t.Errorf("events kept: %s", got)
	}
	s.wantBalance("alice", 1000)
}

// Without a key the jobs have nothing to ask.
func TestJobsWithoutStripe(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	bare := billing.New(billing.Config{}, billing.Deps{Pool: s.db.Pool, Ledger: s.ledger})
	if n, err := bare.ExpireAbandoned(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if d, err := bare.Reconcile(t.Context()); d != (purchase.Drift{}) || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
}
