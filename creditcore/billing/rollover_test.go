package billing_test

import (
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/stripetest"
)

// step moves Stripe's clock by what happens, and the ends of alice's credits towards
// the database's, which stands still: those that were there as far as the clock went,
// those of what came of it as far as it is ahead.
func (p *newsstand) step(happens func() stripetest.Events) {
	p.t.Helper()
	began, before := time.Now(), p.stripe.Now()
	events := happens()
	p.exec(`UPDATE credits.lots SET rolls_to = rolls_to - $1::interval, expires_at = expires_at - $1::interval WHERE user_id = 'alice' AND created_at < $2`,
		p.stripe.Now().Sub(before), began)
	p.deliver(events...)
	if err := p.RunSubscriptions(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	ahead := p.stripe.Now().Sub(time.Now())
	p.exec(`UPDATE credits.lots SET rolls_to = rolls_to - $1::interval WHERE rolls_to IN (SELECT o.expires_at FROM credits.lots AS o WHERE o.created_at >= $2)`, ahead, began)
	p.exec(`UPDATE credits.lots SET expires_at = expires_at - $1::interval WHERE created_at >= $2`, ahead, began)
	p.exec(`UPDATE credits.balances SET next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = 'alice' AND remaining > 0) WHERE user_id = 'alice'`)
}

func (p *newsstand) passed(by time.Duration) {
	p.t.Helper()
	p.step(func() stripetest.Events {
		p.stripe.Advance(by)
		return nil
	})
}

// rolls sets what months of a plan leave to the next.
func (p *newsstand) rolls(plan string, credits int64) {
	p.t.Helper()
	p.exec(`UPDATE subscriptions.plans SET rollover_credits = $2 WHERE name = $1`, plan, credits*1000)
}

// renewed renews a subscription when its month has ended.
func (p *newsstand) renewed(sub string) {
	p.t.Helper()
	p.step(func() stripetest.Events { return p.stripe.RenewSubscription(sub) })
}

// What a month leaves lives on with the next one, up to what the plan says; with the
// last one it ends.
func TestMonthsRollOver(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.rolls("Plus", 60)
	sub := p.subscribed(plusMonthly)
	p.spend(10)
	p.renewed(sub)
	p.wantBalance("within the grace", "190")
	p.passed(4 * 24 * time.Hour)
	p.wantBalance("after it", "160")
	p.spend(70) // 60 of the first month, which end first, come from the second
	p.renewed(sub)
	p.passed(4 * 24 * time.Hour)
	p.wantBalance("the third month", "160")
	p.deliver(srv.EndSubscription(sub)...)
	p.passed(40 * 24 * time.Hour)
	p.wantBalance("after the last", "0")
	p.audited()
}

// A plan that keeps nothing lets go of what the plan before it kept, and one that does
// takes over what is left.
func TestRollOverWithAnotherPlan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		plus, pro int64
		want      string
	}{
		"the new plan keeps": {0, 1000, "550"}, "the old plan kept": {1000, 0, "500"}, "both do": {1000, 1000, "550"}, "neither does": {0, 0, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := priced(t)
			p := newNewsstand(t, srv)
			p.rolls("Plus", tt.plus)
			p.rolls("Pro", tt.pro)
			sub := p.subscribed(plusMonthly)
			p.step(func() stripetest.Events {
				p.half()
				return nil
			})
			p.step(func() stripetest.Events {
				p.change(sub, proMonthly, "always_invoice")
				return nil
			})
			p.wantBalance("changed", "300")
			p.spend(250)
			p.renewed(sub)
			p.passed(4 * 24 * time.Hour)
			p.wantBalance("renewed", tt.want)
			p.audited()
		})
	}
}

// Who pays a year has the same.
func TestMonthsOfAYearRollOver(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.rolls("Plus", 250)
	p.subscribed(plusYearly)
	started := *mustCurrent(p).Subscription.CurrentPeriodStart
	for n, want := range []string{"100", "200", "300", "350", "350"} {
		for _, day := range []int{1, 4} { // the month begins, and the grace of the last one ends
			p.passed(started.AddDate(0, n, day).Sub(srv.Now()))
		}
		p.wantBalance("month "+started.AddDate(0, n, 0).Format("January"), want)
	}
	p.audited()
}

// A refund of a month takes what it left, wherever it lives by now.
func TestRefundOfAMonthThatRolledOver(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.rolls("Plus", 60)
	events := srv.Subscribe(p.customer(), plusMonthly, nil)
	p.deliver(events...)
	sub, invoice := events.Object("subscription"), events.Object("invoice")
	p.renewed(sub)
	p.passed(4 * 24 * time.Hour)
	p.wantBalance("rolled over", "160")
	p.deliver(srv.Refund(invoice, 0)...)
	p.wantBalance("refunded", "100")
	p.audited()
}

// The configuration may say what plans leave, and leaves it alone where it does not.
func TestSeedRollover(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.rolls("Plus", 60)
	if err := p.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if plan := planNamed(t, p.db, p.Service, "Plus"); plan.RolloverCredits.String() != "60" || plan.PerSeat {
		t.Errorf("left alone: %+v", plan)
	}
	credits, seats := creditcore.Credits(100), true
	again := billing.New(billing.Config{Plans: []catalog.PlanSeed{{Name: "Plus", Rollover: &credits, PerSeat: &seats}}}, billing.Deps{Pool: p.db.Pool, Ledger: p.ledger})
	for range 2 {
		if err := again.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if plan := planNamed(t, p.db, p.Service, "Plus"); plan.RolloverCredits != credits || !plan.PerSeat || *plan.StripePriceIDMonthly != plusMonthly {
		t.Errorf("said: %+v", plan)
	}
}
