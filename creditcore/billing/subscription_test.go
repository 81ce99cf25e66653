package billing_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/stripetest"
)

// Late events bring back neither a draft nor a subscription that has ended.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	begun := srv.Subscribe(p.customer(), plusMonthly, nil)
	sub := begun.Object("subscription")
	p.deliver(begun.Of("invoice.paid")...)
	p.deliver(begun.Of("invoice.created")...)
	invoices, err := p.Invoices(t.Context(), p.alice, 20)
	if err != nil || len(invoices) != 1 || invoices[0].Status != "paid" || invoices[0].PaidAt == nil {
		t.Fatalf("after a late invoice.created: %+v, %v", invoices, err)
	}
	p.wantBalance("paid", "100")

	ended := srv.EndSubscription(sub)
	p.deliver(ended...)
	p.deliver(begun...)
	p.deliver(srv.Emit("customer.subscription.updated", sub))
	p.wantCurrent("after a late update", "Free", "", true)
	// Not even if Stripe itself said so: what ended is never alive again.
	srv.Set(sub, "status", "active")
	p.deliver(srv.Emit("customer.subscription.updated", sub))
	p.wantCurrent("after a lie", "Free", "", true)
	p.wantBalance("in the end", "100")
}

// A subscription made in the dashboard has no metadata of ours.
func TestDashboardSubscription(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(proMonthly)
	p.wantCurrent("by the price", "Pro", "active", false)
	p.wantBalance("by the price", "500")
	entries, err := p.ledger.History(t.Context(), p.alice, 10, 0)
	if err != nil || len(entries) != 1 || entries[0].Type != creditcore.Purchase || entries[0].AppID != "stripe" {
		t.Fatalf("%+v, %v", entries, err)
	}
	type lot struct {
		Metadata map[string]string
		Days     float64
	}
	lots := read[lot](p, `
		SELECT t.metadata, extract(epoch FROM l.expires_at - s.current_period_end)::float8 / 86400 AS days
		FROM credits.lots l
		JOIN credits.transactions t ON t.id = l.transaction_id
		JOIN subscriptions.subscriptions s ON true`)
	if len(lots) != 1 || lots[0].Days != 3 || lots[0].Metadata["subscriptionId"] != sub ||
		lots[0].Metadata["invoiceId"] == "" || lots[0].Metadata["invoiceLineId"] == "" {
		t.Errorf("lots: %+v", lots)
	}
	p.audited()
}

// A price by the week gets its share of a month, and its interval as it is.
func TestWeeklySubscription(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.deliver(srv.RenewSubscription(p.subscribed(proWeekly))...)
	now, err := p.Current(t.Context(), p.alice)
	if err != nil || now.Subscription == nil || now.Subscription.BillingInterval != "week" || now.Plan.Name != "Pro" {
		t.Fatalf("%+v, %v", now, err)
	}
	p.wantBalance("two weeks", "234")
}

// What is none of our business is taken and changes nothing.
func TestForeignSubscriptions(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	stranger, err := srv.Client().V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	foreign := srv.Subscribe(stranger.ID, plusMonthly, map[string]string{"userId": "alice"})
	p.deliver(foreign...)
	other := srv.Subscribe(p.customer(), "price_foreign", nil)
	p.deliver(other...)
	p.wantCurrent("foreign", "Free", "", true)
	p.wantBalance("foreign", "0")
	if n := len(read[struct{ ID string }](p, `SELECT id FROM subscriptions.subscriptions`)); n != 0 {
		t.Errorf("%d subscriptions", n)
	}
	// One of ours that goes to a foreign price keeps its plan until it ends.
	q := newNewsstand(t, srv)
	sub := q.subscribed(plusMonthly)
	q.deliver(srv.ChangePlan(sub, "price_foreign")...)
	q.wantCurrent("gone to a foreign price", "Plus", "active", false)
}

// A subscription that Stripe does not know has ended, and another may begin:
// such is one of the test mode once the key is the live one. But a test key
// ends nothing of the live mode.
func TestSubscriptionUnknownToStripe(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.subscribed(plusMonthly)
	elsewhere := priced(t)
	p.Service = p.at(elsewhere)

	p.exec(`UPDATE credits.stripe_customers SET livemode = true`)
	if err := p.Cancel(t.Context(), p.alice); !errors.Is(err, subscription.ErrNoSubscription) {
		t.Errorf("cancel: %v", err)
	}
	p.wantCurrent("of the live mode", "Plus", "active", false)

	p.exec(`UPDATE credits.stripe_customers SET livemode = false`)
	if err := p.Cancel(t.Context(), p.alice); !errors.Is(err, subscription.ErrNoSubscription) {
		t.Errorf("cancel: %v", err)
	}
	p.wantCurrent("gone", "Free", "", true)
	p.subscribe(p.order("Plus", catalog.Monthly))
	p.audited()
}

// Who closed their account gets nothing, and pays nothing for long.
func TestRemovedUser(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	p.exec(`UPDATE auth.users SET deleted_at = now() WHERE id = 'alice'`)
	p.deliver(srv.RenewSubscription(sub)...)
	if earned := read[struct{ N int64 }](p, `SELECT total_earned AS n FROM credits.balances`); earned[0].N != 100_000 {
		t.Errorf("earned %d", earned[0].N)
	}
	if err := p.RunSubscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := stripetest.Object[stripe.Subscription](srv, sub); s.Status != stripe.SubscriptionStatusCanceled {
		t.Errorf("at Stripe the subscription of a closed account is %s", s.Status)
	}
	calls := len(srv.Requests())
	if err := p.RunSubscriptions(t.Context()); err != nil || len(srv.Requests()) != calls {
		t.Errorf("the next round: %v, %d requests more", err, len(srv.Requests())-calls)
	}
}

func TestCancelForUser(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	unheard := srv.Subscribe(*mustCurrent(p).Subscription.StripeCustomerID, proMonthly, nil).Object("subscription")
	for range 2 {
		if err := p.CancelForUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{sub, unheard} {
		if s := stripetest.Object[stripe.Subscription](srv, id); s.Status != stripe.SubscriptionStatusCanceled {
			t.Errorf("%s is %s", id, s.Status)
		}
	}
	p.wantCurrent("after", "Free", "", true)

	q := newNewsstand(t, srv)
	open, err := q.Subscribe(t.Context(), q.alice, q.order("Plus", catalog.Monthly))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := q.CancelForUser(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if k := stripetest.Object[stripe.CheckoutSession](srv, open.SessionID); k.Status != stripe.CheckoutSessionStatusExpired {
		t.Errorf("the open checkout is %s", k.Status)
	}
	if err := q.CancelForUser(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
}

func mustCurrent(p *newsstand) subscription.Current {
	p.t.Helper()
	now, err := p.Current(p.t.Context(), p.alice)
	if err != nil || now.Subscription == nil {
		p.t.Fatalf("%+v, %v", now, err)
	}
	return now
}

// A late payment does not make a subscriber free; one who stopped paying has
// the default plan and may still cancel.
func TestStatuses(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.wantCurrent("at first", "Free", "", true)
	sub := p.subscribed(plusMonthly)
	for status, want := range map[string]struct {
		plan   string
		status subscription.Status
		free   bool
	}{
		"trialing": {"Plus", "trialing", false}, "past_due": {"Plus", "past_due", false}, "unpaid": {"Free", "unpaid", true},
		"paused": {"Free", "paused", true}, "active": {"Plus", "active", false}, "of_next_year": {"Free", "unpaid", true},
	} {
		p.deliver(srv.SetSubscriptionStatus(sub, status)...)
		p.deliver(srv.Emit("customer.subscription.updated", sub))
		p.wantCurrent(status, want.plan, want.status, want.free)
		if err := p.Cancel(t.Context(), p.alice); err != nil {
			t.Errorf("cancel while %s: %v", status, err)
		}
		if !mustCurrent(p).Subscription.CancelAtPeriodEnd {
			t.Errorf("canceled while %s: not shown", status)
		}
		if err := p.Reactivate(t.Context(), p.alice); err != nil {
			t.Errorf("reactivate while %s: %v", status, err)
		}
		if now := mustCurrent(p).Subscription; now.CancelAtPeriodEnd || now.CanceledAt != nil {
			t.Errorf("reactivated while %s: %+v", status, now)
		}
	}
}

func TestCancelAndReactivate(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	wrong := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	wrong("cancel nothing", p.Cancel(t.Context(), p.alice), subscription.ErrNoSubscription)
	wrong("reactivate nothing", p.Reactivate(t.Context(), p.alice), subscription.ErrNotCanceled)
	sub := p.subscribed(plusMonthly)
	wrong("reactivate what runs", p.Reactivate(t.Context(), p.alice), subscription.ErrNotCanceled)

	// Stripe refuses: nothing changes on our side.
	srv.FailNext(http.MethodPost, "/v1/subscriptions/", 402, 1)
	var refused *stripeapi.PaymentError
	if err := p.Cancel(t.Context(), p.alice); !errors.As(err, &refused) {
		t.Errorf("refused: %v", err)
	}
	if mustCurrent(p).Subscription.CancelAtPeriodEnd {
		t.Error("canceled on our side alone")
	}
	for range 2 {
		wrong("cancel", p.Cancel(t.Context(), p.alice), nil)
	}
	if !mustCurrent(p).Subscription.CancelAtPeriodEnd || !stripetest.Object[stripe.Subscription](srv, sub).CancelAtPeriodEnd {
		t.Error("not canceled")
	}
	// Stripe agrees but cannot be asked again: the event brings it.
	srv.OnRequest(func(r stripetest.Request) {
		if r.Method == http.MethodPost && r.Path == "/v1/subscriptions/"+sub {
			srv.FailNext(http.MethodGet, "/v1/subscriptions/"+sub, 500, 1)
		}
	})
	wrong("reactivate", p.Reactivate(t.Context(), p.alice), nil)
	srv.OnRequest(nil)
	p.deliver(srv.Events().Of("customer.subscription.updated")...)
	if mustCurrent(p).Subscription.CancelAtPeriodEnd {
		t.Error("not reactivated")
	}
	// It ended without our hearing.
	srv.EndSubscription(sub)
	wrong("cancel what has ended", p.Cancel(t.Context(), p.alice), subscription.ErrNoSubscription)
	p.wantCurrent("ended", "Free", "", true)
}

// Two at once can only come from the dashboard. The older one counts; once it
// ends, the other does.
func TestTwoSubscriptions(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	customer := p.customer()
	first := srv.Subscribe(customer, plusMonthly, nil)
	srv.Advance(time.Minute)
	second := srv.Subscribe(customer, proMonthly, nil)
	p.deliver(second...)
	p.wantCurrent("the second alone", "Pro", "active", false)
	p.deliver(first...)
	p.wantCurrent("both", "Plus", "active", false)
	p.wantBalance("both are paid", "600")
	p.deliver(srv.EndSubscription(first.Object("subscription"))...)
	p.wantCurrent("the first ended", "Pro", "active", false)
}

func TestPortal(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	if _, err := p.Portal(t.Context(), p.alice, "https://mana.how/account"); !errors.Is(err, subscription.ErrNoBillingAccount) {
		t.Errorf("without an account: %v", err)
	}
	var address *stripeapi.ReturnURLError
	if _, err := p.Portal(t.Context(), p.alice, "https://evil.example/"); !errors.As(err, &address) || address.Field != "returnUrl" {
		t.Errorf("to another site: %v", err)
	}
	customer := p.customer()
	if url, err := p.Portal(t.Context(), p.alice, "https://mana.how/account"); err != nil || url == "" {
		t.Errorf("%q, %v", url, err)
	}
	if _, err := srv.Client().V1Customers.Delete(t.Context(), customer, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Portal(t.Context(), p.alice, "https://mana.how/account"); !errors.Is(err, subscription.ErrNoBillingAccount) {
		t.Errorf("of a customer who is gone: %v", err)
	}
	if _, err := p.Portal(t.Context(), creditcore.Caller{UserID: "nobody"}, "https://mana.how/"); !errors.Is(err, stripeapi.ErrUserNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestWithoutStripe(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := billing.New(billing.Config{}, billing.Deps{Pool: db.Pool, Ledger: creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})})
	if err := s.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := creditcore.Caller{UserID: "alice"}
	_, subscribe := s.Subscribe(t.Context(), c, subscription.Order{})
	_, portal := s.Portal(t.Context(), c, "")
	for what, err := range map[string]error{
		"subscribe": subscribe, "portal": portal, "cancel": s.Cancel(t.Context(), c), "reactivate": s.Reactivate(t.Context(), c),
	} {
		if !errors.Is(err, stripeapi.ErrNotConfigured) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"jobs": s.RunSubscriptions(t.Context()), "reconcile": s.ReconcileSubscriptions(t.Context()), "cancel for user": s.CancelForUser(t.Context(), "alice"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if now, err := s.Current(t.Context(), c); err != nil || !now.Free || now.Plan == nil || now.Plan.Name != "Free" {
		t.Errorf("current: %+v, %v", now, err)
	}
}

// The portal may cancel by a date instead of a switch.
func TestReactivateWhatEndsByDate(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	sub := p.subscribed(plusMonthly)
	_, err := srv.Client().V1Subscriptions.Update(t.Context(), sub, &stripe.SubscriptionUpdateParams{
		CancelAt: stripe.Int64(mustCurrent(p).Subscription.CurrentPeriodEnd.Unix()),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.deliver(srv.Events().Of("customer.subscription.updated")...)
	if !mustCurrent(p).Subscription.CancelAtPeriodEnd {
		t.Error("the end is not shown")
	}
	if err := p.Reactivate(t.Context(), p.alice); err != nil {
		t.Fatal(err)
	}
	if s := stripetest.Object[stripe.Subscription](srv, sub); s.CancelAt != 0 || mustCurrent(p).Subscription.CancelAtPeriodEnd {
		t.Errorf("it still ends at %d", s.CancelAt)
	}
}
