package billing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/stripetest"
)

const (
	plusMonthly = "price_plus_month"
	plusYearly  = "price_plus_year"
	proMonthly  = "price_pro_month"
	ultraMonth  = "price_ultra_month"
	proWeekly   = "price_pro_week"
)

// newsstand sells subscriptions to alice and to nobody else.
type newsstand struct {
	*billing.Service
	t      *testing.T
	db     *pgtest.Database
	stripe *stripetest.Server
	ledger *creditcore.Service
	alice  creditcore.Caller
}

func priced(t *testing.T) *stripetest.Server {
	t.Helper()
	srv := stripetest.New(t)
	srv.AddPrice(plusMonthly, 499, "month")
	srv.AddPrice(plusYearly, 4999, "year")
	srv.AddPrice(proMonthly, 1199, "month")
	srv.AddPrice(ultraMonth, 2499, "month")
	srv.AddPrice(proWeekly, 299, "week")
	srv.AddPrice("price_foreign", 999, "month")
	return srv
}

// newNewsstand opens a newsstand with a database of its own.
func newNewsstand(t *testing.T, srv *stripetest.Server) *newsstand {
	t.Helper()
	db := pgtest.New(t)
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	p := &newsstand{t: t, db: db, stripe: srv, ledger: ledger, alice: creditcore.Caller{UserID: "alice", Role: "user"}}
	p.Service = p.at(srv)
	if err := p.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.exec(`INSERT INTO auth.users (id, name, email) VALUES ('alice', 'Alice', 'alice@example.com')`)
	return p
}

// at is the service of the same database with a Stripe.
func (p *newsstand) at(srv *stripetest.Server) *billing.Service {
	return billing.New(billing.Config{
		SecretKey: srv.Key, APIURL: srv.URL, WebhookSecrets: []string{srv.WebhookSecret}, BaseURL: "https://mana.how",
		ReturnURL: func(raw string) bool { return strings.HasPrefix(raw, "https://mana.how/") },
		Plans: []catalog.PlanSeed{
			{Name: "Plus", PriceMonthly: plusMonthly, PriceYearly: plusYearly},
			{Name: "Pro", PriceMonthly: proMonthly, PriceYearly: proWeekly},
			{Name: "Ultra", PriceMonthly: ultraMonth},
		},
	}, billing.Deps{Pool: p.db.Pool, Ledger: p.ledger, Now: srv.Now})
}

func (p *newsstand) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := dbscope.Exec(p.t.Context(), p.db.Pool, dbscope.System(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

func read[T any](p *newsstand, sql string, args ...any) []T {
	p.t.Helper()
	found, err := dbscope.Rows[T](p.t.Context(), p.db.Pool, dbscope.System(), sql, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// customer makes alice a customer without a checkout of ours.
func (p *newsstand) customer() string {
	p.t.Helper()
	made, err := p.stripe.Client().V1Customers.Create(p.t.Context(), &stripe.CustomerCreateParams{Email: stripe.String("alice@example.com")})
	if err != nil {
		p.t.Fatal(err)
	}
	p.adopt(made.ID)
	return made.ID
}

func (p *newsstand) adopt(customerID string) {
	p.t.Helper()
	p.exec(`INSERT INTO credits.stripe_customers (user_id, stripe_customer_id, livemode) VALUES ('alice', $1, false)`, customerID)
}

func (p *newsstand) take(body []byte, signature string) error {
	return p.Webhook(context.Background(), body, signature)
}

func (p *newsstand) deliver(events ...stripetest.Event) {
	p.t.Helper()
	if err := p.stripe.Deliver(p.take, events...); err != nil {
		p.t.Fatal(err)
	}
}

// subscribed is alice with a subscription whose events have all arrived.
func (p *newsstand) subscribed(price string) string {
	p.t.Helper()
	events := p.stripe.Subscribe(p.customer(), price, nil)
	p.deliver(events...)
	return events.Object("subscription")
}

func (p *newsstand) balance() string {
	p.t.Helper()
	b, err := p.ledger.BalanceOf(p.t.Context(), "alice")
	if err != nil {
		p.t.Fatal(err)
	}
	return b.Available.String()
}

func (p *newsstand) wantBalance(what, want string) {
	p.t.Helper()
	if got := p.balance(); got != want {
		p.t.Errorf("%s: balance %s, want %s", what, got, want)
	}
}

func (p *newsstand) spend(n int64) {
	p.t.Helper()
	_, err := p.ledger.Debit(p.t.Context(), creditcore.Debit{UserID: "alice", Amount: creditcore.Credits(n), AppID: "chat", Description: "chat"})
	if err != nil {
		p.t.Fatal(err)
	}
}

// audited fails the test where an invariant of the ledger does not hold.
func (p *newsstand) audited() {
	p.t.Helper()
	report, err := p.ledger.Audit(p.t.Context())
	if err != nil || len(report.Breaches) > 0 {
		p.t.Errorf("audit: %+v, %v", report.Breaches, err)
	}
}

func (p *newsstand) planID(name string) string {
	p.t.Helper()
	return planNamed(p.t, p.db, p.Service, name).ID
}

// order asks for a plan by its name.
func (p *newsstand) order(plan string, every catalog.Interval) subscription.Order {
	p.t.Helper()
	return subscription.Order{
		PlanID: p.planID(plan), Interval: every,
		SuccessURL: "https://mana.how/ok", CancelURL: "https://mana.how/no",
	}
}

// current is the caller's plan, its subscription's status and whether he is
// free of charge.
func (p *newsstand) current() (plan string, status subscription.Status, free bool) {
	p.t.Helper()
	now, err := p.Current(p.t.Context(), p.alice)
	if err != nil {
		p.t.Fatal(err)
	}
	if now.Plan != nil {
		plan = now.Plan.Name
	}
	if now.Subscription != nil {
		status = now.Subscription.Status
	}
	return plan, status, now.Free
}

func (p *newsstand) wantCurrent(what, plan string, status subscription.Status, free bool) {
	p.t.Helper()
	if gotPlan, gotStatus, gotFree := p.current(); gotPlan != plan || gotStatus != status || gotFree != free {
		p.t.Errorf("%s: %s, %q, free %t; want %s, %q, free %t", what, gotPlan, gotStatus, gotFree, plan, status, free)
	}
}
