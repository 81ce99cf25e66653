package billing_test

import (
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// change moves a subscription to a price as a dashboard would, and delivers
// what that causes.
func (p *newsstand) change(sub, price, prorations string) {
	p.t.Helper()
	before := len(p.stripe.Events())
	item := stripetest.Object[stripe.Subscription](p.stripe, sub).Items.Data[0].ID
	_, err := p.stripe.Client().V1Subscriptions.Update(p.t.Context(), sub, &stripe.SubscriptionUpdateParams{
		Items:             []*stripe.SubscriptionUpdateItemParams{{ID: stripe.String(item), Price: stripe.String(price)}},
		ProrationBehavior: stripe.String(prorations),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.deliver(p.stripe.Events()[before:]...)
}

// Prorations may wait for the next invoice. Their month is over then; what it
// is due is granted all the same.
func TestProrationsOfTheNextInvoice(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	p.half()
	p.change(sub, proMonthly, "create_prorations")
	p.wantCurrent("changed", "Pro", "active", false)
	p.wantBalance("changed, not paid", "100")
	p.deliver(srv.RenewSubscription(sub)...)
	p.wantBalance("paid", "800") // 50 + 250 + 500
	p.audited()
	if n := len(read[struct{ N int }](p, `SELECT 1 AS n FROM credits.lots WHERE expires_at < now()`)); n != 0 {
		t.Errorf("%d lots were granted too late to be used", n)
	}
}

// Whoever goes to another plan and back within a second has what he had.
func TestPlanChangesOfOneSecond(t *testing.T) {
	t.Parallel()
	for name, prorations := range map[string]string{"on the next invoice": "create_prorations", "at once": "always_invoice"} {
		for when, wait := range map[string]func(*newsstand){"in the middle": (*newsstand).half, "from the first second": func(*newsstand) {}} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				srv := priced(t)
				p := newNewsstand(t, srv)
				sub := p.subscribed(plusMonthly)
				wait(p)
				for range 2 {
					p.change(sub, ultraMonth, prorations)
					p.change(sub, plusMonthly, prorations)
				}
				p.wantBalance("changed", "100")
				p.deliver(srv.RenewSubscription(sub)...)
				p.wantBalance("renewed", "200")
				p.audited()
			})
		}
	}
}

// Without prorations the new plan begins with its first invoice.
func TestChangeWithoutProrations(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	p.half()
	p.change(sub, proMonthly, "none")
	p.wantBalance("changed", "100")
	p.deliver(srv.RenewSubscription(sub)...)
	p.wantBalance("renewed", "600")
}

// Who goes from months to a year begins a new year at once.
func TestFromMonthToYear(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	p.half()
	p.change(sub, plusYearly, "create_prorations")
	if s := mustCurrent(p).Subscription; s.BillingInterval != "year" {
		t.Errorf("interval %s", s.BillingInterval)
	}
	p.wantBalance("half a month and the first of twelve", "150")
	begun := mustCurrent(p).Subscription.CurrentPeriodStart
	srv.Advance(begun.AddDate(0, 5, 1).Sub(srv.Now()))
	if err := p.RunSubscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantBalance("six months on", "650")
	p.audited()
}
