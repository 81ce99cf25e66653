package billing_test

import (
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/stripetest"
	"mana.how/edge/migrations/functions"
)

func TestInvoices(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	for range 24 {
		p.deliver(srv.RenewSubscription(sub)...)
	}
	for limit, want := range map[int]int{-1: 1, 0: 1, 1: 1, 20: 20, 1000: 25} {
		found, err := p.Invoices(t.Context(), p.alice, limit)
		if err != nil || len(found) != want {
			t.Errorf("limit %d: %d invoices, %v", limit, len(found), err)
		}
		for i, v := range found {
			if v.Status != "paid" || v.AmountPaidEuroCents != 499 || v.Currency != "eur" || v.SubscriptionID == nil || v.PaidAt == nil {
				t.Errorf("%+v", v)
			}
			if i > 0 && v.CreatedAt.After(found[i-1].CreatedAt) {
				t.Errorf("invoice %d is newer than the one before", i)
			}
		}
	}
	if others, err := p.Invoices(t.Context(), creditcore.Caller{UserID: "bob", Role: "user"}, 20); err != nil || len(others) != 0 {
		t.Errorf("bob's: %+v, %v", others, err)
	}
	p.wantBalance("25 months", "2500")
}

// A renewal that fails grants nothing until it is paid.
func TestFailedRenewal(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	failed := srv.FailRenewal(p.subscribed(plusMonthly))
	p.deliver(failed...)
	p.wantCurrent("failed", "Plus", "past_due", false)
	p.wantBalance("failed", "100")
	p.deliver(srv.Pay(failed.Object("invoice"))...)
	p.wantCurrent("paid", "Plus", "active", false)
	p.wantBalance("paid", "200")
}

// Who pays a year gets a month's credits every month, once.
func TestYear(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusYearly)
	started := mustCurrent(p).Subscription.CurrentPeriodStart
	for n := int64(1); n <= 12; n++ {
		for range 2 {
			if err := p.RunSubscriptions(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.wantBalance("months", creditcore.Credits(100*n).String())
		srv.Advance(started.AddDate(0, int(n), 1).Sub(srv.Now()))
	}
	p.deliver(srv.Emit("invoice.updated", read[struct{ ID string }](p, `SELECT stripe_invoice_id AS id FROM subscriptions.invoices`)[0].ID))
	p.wantBalance("a year", "1200")
	_ = sub
	p.audited()
}

// A year that ends early is granted no further.
func TestYearCutShort(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusYearly)
	srv.Advance(70 * 24 * time.Hour)
	if err := p.RunSubscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantBalance("the third month", "300")
	p.deliver(srv.EndSubscription(sub)...)
	srv.Advance(200 * 24 * time.Hour)
	if err := p.RunSubscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantBalance("ended", "300")
}

// bought is something that has nothing to do with the subscription.
func (p *newsstand) bought(n int64) {
	p.t.Helper()
	_, err := p.ledger.Grant(p.t.Context(), creditcore.Grant{
		UserID: "alice", Amount: creditcore.Credits(n), Type: creditcore.Purchase, Source: creditcore.SourcePurchase,
		AppID: "stripe", Description: "bought", Reference: "purchase:1",
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *newsstand) boughtLeft() int64 {
	p.t.Helper()
	p.exec(`SELECT ` + functions.Schema + `.burn(user_id) FROM ` + functions.Schema + `.account('alice')`)
	return read[struct{ N int64 }](p, `SELECT remaining AS n FROM credits.lots WHERE reference = 'purchase:1'`)[0].N / 1000
}

// half moves the clock to the middle of alice's period.
func (p *newsstand) half() { p.halfOf(p.alice) }

func (p *newsstand) halfOf(who creditcore.Caller) {
	p.t.Helper()
	now, err := p.Current(p.t.Context(), who)
	if err != nil || now.Subscription == nil {
		p.t.Fatalf("%+v, %v", now, err)
	}
	s := now.Subscription
	p.stripe.Advance(s.CurrentPeriodStart.Add(s.CurrentPeriodEnd.Sub(*s.CurrentPeriodStart) / 2).Sub(p.stripe.Now()))
}

// A change of plan gives what the new plan is due for the time, takes back
// what the old one is not, and never touches what was bought.
func TestPlanChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		spent    int64
		balance  string // with 1000 bought
		bought   int64
	}{
		"up, unspent":   {plusMonthly, proMonthly, 0, "1300", 1000}, // 50 + 250
		"up, spent":     {plusMonthly, proMonthly, 100, "1200", 1000},
		"down, unspent": {ultraMonth, plusMonthly, 0, "2050", 1000}, // 1000 + 50
		"down, spent":   {ultraMonth, plusMonthly, 2000, "1000", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := priced(t)
			p := newNewsstand(t, srv)
			sub := p.subscribed(c.from)
			p.bought(1000)
			if c.spent > 0 {
				p.spend(c.spent)
			}
			p.half()
			p.deliver(srv.ChangePlan(sub, c.to)...)
			p.wantBalance("changed", c.balance)
			if got := p.boughtLeft(); got != c.bought {
				t.Errorf("%d of what was bought is left", got)
			}
			p.audited()
		})
	}
}

// Taking a large plan, spending it, giving it back and taking it again does
// not make credits.
func TestPlanChangesMakeNoCredits(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(ultraMonth)
	spent := int64(0)
	for range 4 {
		if b, err := p.ledger.BalanceOf(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		} else if n := int64(b.Available / creditcore.Credit); n > 0 {
			p.spend(n)
			spent += n
		}
		srv.Advance(time.Minute)
		p.deliver(srv.ChangePlan(sub, plusMonthly)...)
		srv.Advance(time.Minute)
		p.deliver(srv.ChangePlan(sub, ultraMonth)...)
	}
	if spent > 2000 {
		t.Errorf("spent %d credits of one month of Ultra", spent)
	}
	p.audited()
}

// A refund takes back its share, spent or not; a dispute holds all of it until
// it is won.
func TestInvoiceReversals(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	begun := srv.Subscribe(p.customer(), proMonthly, nil)
	p.deliver(begun...)
	bill := begun.Object("invoice")
	p.spend(100)

	p.deliver(srv.Refund(bill, 600)...)
	p.wantBalance("half refunded", "150") // 250 of 500 taken
	p.deliver(srv.Dispute(bill, 0)...)
	p.wantBalance("the rest disputed", "0")
	p.deliver(srv.WinDispute(bill)...)
	p.wantBalance("won", "150")
	p.deliver(srv.Emit("invoice.updated", bill))
	p.wantBalance("again", "150")
	p.audited()

	// What comes back before it was ever granted is not granted.
	q := newNewsstand(t, srv)
	events := srv.Subscribe(q.customer(), plusMonthly, nil)
	events = append(events, srv.Refund(events.Object("invoice"), 0)...)
	q.deliver(events...)
	q.wantBalance("refunded first", "0")
	q.audited()
}

// A refund of a year takes the months to come first, then the newest ones, and
// never what was bought beside them.
func TestYearRefundedInPart(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	begun := srv.Subscribe(p.customer(), plusYearly, nil)
	p.deliver(begun...)
	bill := begun.Object("invoice")
	started := mustCurrent(p).Subscription.CurrentPeriodStart
	srv.Advance(started.AddDate(0, 5, 1).Sub(srv.Now()))
	run := func() {
		t.Helper()
		if err := p.RunSubscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	p.wantBalance("half a year", "600")
	p.spend(600)
	p.bought(1000)
	want := func(what string, debt creditcore.Amount) {
		t.Helper()
		b, err := p.ledger.BalanceOf(t.Context(), "alice")
		if err != nil || b.Debt != debt || b.Available != creditcore.Credits(1000) || p.boughtLeft() != 1000 {
			t.Errorf("%s: %+v, %v, %d of the bought left; want 1000 and a debt of %s", what, b, err, p.boughtLeft(), debt)
		}
	}
	p.deliver(srv.Refund(bill, 2499)...)
	want("half refunded", 0)
	p.deliver(srv.Refund(bill, 2500)...) // the months that were used are owed
	want("all refunded", creditcore.Credits(600))
	srv.Advance(started.AddDate(0, 11, 1).Sub(srv.Now()))
	run()
	want("at the end of the year", creditcore.Credits(600))
	p.audited()
}

// Events that never came are made up for.
func TestReconcileSubscriptions(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	bill := srv.Subscribe(p.customer(), proMonthly, nil).Object("invoice")
	reconcile := func() {
		t.Helper()
		if err := p.ReconcileSubscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reconcile()
	p.wantCurrent("found", "Pro", "active", false)
	p.wantBalance("found", "500")
	srv.Refund(bill, 0)
	reconcile()
	p.wantBalance("refunded", "0")
}

// An invoice may be paid long after it was written, by a debit or a card that
// works at last: one that is open here is asked for at any rate.
func TestReconcileInvoicePaidLate(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	failed := srv.FailRenewal(p.subscribed(proMonthly))
	p.deliver(failed...)
	srv.Advance(10 * 24 * time.Hour)
	p.wantBalance("unpaid", "500")
	srv.Pay(failed.Object("invoice"))
	if err := p.ReconcileSubscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantBalance("paid", "1000")
	p.audited()
}

// What was paid at a price of ours that the admin had not named is granted once
// he has.
func TestReconcilePriceNamedLate(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.deliver(srv.Subscribe(p.customer(), "price_foreign", nil)...)
	p.wantBalance("not named", "0")
	p.exec(`INSERT INTO subscriptions.prices (stripe_price_id, plan_id) SELECT 'price_foreign', id FROM subscriptions.plans WHERE name = 'Plus'`)
	for range 2 {
		if err := p.ReconcileSubscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.wantBalance("named", "100")
	}
	p.wantCurrent("named", "Plus", "active", false)
	p.audited()
}

// An invoice in another currency than ours grants nothing.
func TestInvoiceOfAnotherCurrency(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	events := srv.Subscribe(p.customer(), proMonthly, nil)
	srv.SetCurrency(events.Object("invoice"), "usd")
	p.deliver(events...)
	p.wantBalance("dollars", "0")
	if v := stripetest.Object[stripe.Invoice](srv, events.Object("invoice")); v.Currency != "usd" {
		t.Fatalf("currency %s", v.Currency)
	}
}
