package billing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/stripetest"
)

// chronicle is all that three periods with a change of plan and a cancellation come
// to. Ledger rows may differ with the order of events; what they add up to may
// not.
type chronicle struct {
	Balance       string
	Earned, Spent int64
	Subscriptions []struct {
		Plan, Status, Interval string
		Start, End, Ended      *time.Time
		CancelAtPeriodEnd      bool
		Surplus                bool
	}
	Invoices []struct {
		ID, Status       string
		Due, Paid        int64
		PaidAt           *time.Time
		HasSubscription  bool
		CreatedAt        time.Time
		Number, Currency *string
	}
	Allotments []struct {
		ID, Price        string
		Credits, Cut     int64
		Starts, Ends     time.Time
		IsGranted        bool
		NetOfWhatIsTaken int64
	}
}

func (p *newsstand) chronicle() chronicle {
	p.t.Helper()
	b, err := p.ledger.BalanceOf(p.t.Context(), "alice")
	if err != nil {
		p.t.Fatal(err)
	}
	l := chronicle{Balance: b.Available.String(), Earned: int64(b.TotalEarned), Spent: int64(b.TotalSpent)}
	into(p, &l.Subscriptions, `
		SELECT p.name AS plan, s.status, s.billing_interval AS interval, s.current_period_start AS start,
			s.current_period_end AS "end", s.ended_at AS ended, s.cancel_at_period_end, s.surplus
		FROM subscriptions.subscriptions s
		JOIN subscriptions.plans p ON p.id = s.plan_id
		ORDER BY s.stripe_subscription_id`)
	into(p, &l.Invoices, `
		SELECT stripe_invoice_id AS id, status, amount_due_euro_cents AS due, amount_paid_euro_cents AS paid, paid_at,
			subscription_id IS NOT NULL AS has_subscription, created_at, number, currency
		FROM subscriptions.invoices
		ORDER BY stripe_invoice_id`)
	into(p, &l.Allotments, `
		SELECT id, stripe_price_id AS price, credits, cut_credits AS cut, starts_at AS starts, ends_at AS ends,
			granted IS NOT NULL AS is_granted, coalesce(granted, 0) - clawed_back AS net_of_what_is_taken
		FROM subscriptions.allotments
		ORDER BY id`)
	return l
}

func into[T any](p *newsstand, list *[]T, sql string) {
	p.t.Helper()
	*list = read[T](p, sql)
}

// A subscription over three periods, with a change of plan in the middle of
// the second and a cancellation in the third, ends in the same state whatever
// way its events take.
func TestOrderOfSubscriptionEvents(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	live := newNewsstand(t, srv)
	customer := live.customer()

	var story stripetest.Events
	tell := func(events stripetest.Events) stripetest.Events {
		story = append(story, events...)
		live.deliver(events...)
		return events
	}
	sub := tell(srv.Subscribe(customer, plusMonthly, map[string]string{"userId": "alice"})).Object("subscription")
	tell(srv.RenewSubscription(sub))
	tell(srv.Advance(14 * 24 * time.Hour))
	tell(srv.ChangePlan(sub, proMonthly))
	tell(srv.RenewSubscription(sub))
	if err := live.Cancel(t.Context(), live.alice); err != nil {
		t.Fatal(err)
	}
	live.wantCurrent("canceled", "Pro", "active", false)
	story = append(story, srv.Events()[len(story):].Of("customer.subscription.updated")...)
	tell(srv.EndSubscription(sub))
	live.wantCurrent("ended", "Free", "", true)
	live.audited()

	want := live.chronicle()
	if len(want.Invoices) != 4 || len(want.Allotments) != 4 || len(want.Subscriptions) != 1 {
		t.Fatalf("the story: %+v", want)
	}
	total := creditsOf(want)
	if total < 100+100+500 || total >= 100+100+500+500 {
		t.Errorf("the story comes to %d credits", total)
	}

	orders := map[string]func(*rand.Rand, stripetest.Events) stripetest.Events{
		"as sent":  func(_ *rand.Rand, e stripetest.Events) stripetest.Events { return e },
		"reversed": func(_ *rand.Rand, e stripetest.Events) stripetest.Events { slices.Reverse(e); return e },
		"twice":    func(_ *rand.Rand, e stripetest.Events) stripetest.Events { return append(e, e...) },
		"only paid": func(_ *rand.Rand, e stripetest.Events) stripetest.Events {
			return e.Of("invoice.paid", "customer.subscription.deleted")
		},
	}
	for i := range 6 {
		orders[fmt.Sprintf("shuffled %d", i)] = func(r *rand.Rand, e stripetest.Events) stripetest.Events {
			e = append(e, e...)
			r.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
			return e
		}
	}
	for name, arrange := range orders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newNewsstand(t, srv)
			p.adopt(customer)
			seed := rand.Uint64()
			p.deliver(arrange(rand.New(rand.NewPCG(seed, 0)), slices.Clone(story))...)
			p.same(want, fmt.Sprintf("seed %d", seed))
		})
	}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		p := newNewsstand(t, srv)
		p.adopt(customer)
		var wg sync.WaitGroup
		for _, e := range append(slices.Clone(story), story...) {
			wg.Go(func() {
				for try := 0; ; try++ {
					body, signature := srv.Payload(e)
					err := p.take(body, signature)
					if err == nil {
						return
					}
					if try == 20 { // as Stripe does, with patience
						t.Errorf("%s: %v", e.Type, err)
						return
					}
				}
			})
		}
		wg.Wait()
		p.same(want, "")
	})
	t.Run("no events", func(t *testing.T) {
		t.Parallel()
		p := newNewsstand(t, srv)
		p.adopt(customer)
		// Stripe is asked about the last days alone, so ids come from elsewhere.
		p.exec(`INSERT INTO subscriptions.subscriptions (user_id, plan_id, stripe_subscription_id, current_period_end)
			SELECT 'alice', id, $1, '2020-01-01' FROM subscriptions.plans WHERE name = 'Plus'`, sub)
		if err := p.ReconcileSubscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Subscriptions, p.chronicle().Subscriptions); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func creditsOf(l chronicle) int64 {
	var sum int64
	for _, a := range l.Allotments {
		sum += a.NetOfWhatIsTaken
	}
	return sum / 1000
}

func (p *newsstand) same(want chronicle, hint string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.chronicle()); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", hint, diff)
	}
	p.audited()
}
