package billing_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/topup"
)

const topUpPage = "https://chat.mana.how/account/credits"

// refiller is a till whose customer has an account that is topped up.
type refiller struct {
	*till
	who  creditcore.Caller
	card string
}

// newRefiller gives alice 700 credits, and tops her up below 300 by 1000 credits for
// 9.99 euro, up to 100 euro a month.
func newRefiller(t *testing.T) *refiller {
	t.Helper()
	r := &refiller{till: newTill(t)}
	r.who = r.user("alice")
	r.give("alice", 700)
	r.card = r.saveCard(r.who)
	r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: 10_000})
	return r
}

func (s *till) give(account string, credits int64) {
	s.t.Helper()
	_, err := s.ledger.Grant(s.t.Context(), creditcore.Grant{
		UserID: account, Amount: creditcore.Credits(credits), Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin",
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// saveCard saves a card that works and returns Stripe's id of it.
func (s *till) saveCard(c creditcore.Caller) string {
	s.t.Helper()
	page, err := s.SaveCard(s.t.Context(), c, topUpPage+"?session="+topup.SessionID, topUpPage)
	if err != nil {
		s.t.Fatal(err)
	}
	events := s.stripe.Pay(page[strings.LastIndex(page, "cs_test"):])
	s.deliver(events...)
	return events.Object("payment_method")
}

func (r *refiller) agree(to topup.Change) {
	r.t.Helper()
	if err := r.SetTopUp(r.t.Context(), r.who, to); err != nil {
		r.t.Fatal(err)
	}
}

// spend charges the account.
func (r *refiller) spend(credits int64) {
	r.t.Helper()
	if _, err := r.ledger.Debit(r.t.Context(), creditcore.Debit{
		UserID: r.who.UserID, Organization: r.who.Organization, Amount: creditcore.Credits(credits), AppID: "chat",
	}); err != nil {
		r.t.Fatal(err)
	}
}

// round goes on with what is due, and then with what a later try makes due.
func (r *refiller) round() {
	r.t.Helper()
	if err := r.TopUpDue(r.t.Context()); err != nil {
		r.t.Error(err)
	}
}

// later makes due what waits.
func (r *refiller) later() {
	r.t.Helper()
	r.exec(`UPDATE credits.top_ups SET due_at = now() WHERE state IN ('open', 'confirm')`)
	r.round()
}

// state are the top-ups, the oldest first, with why they wait or ended.
func (r *refiller) state() string {
	r.t.Helper()
	return r.text(`SELECT string_agg(state || coalesce(' ' || reason, ''), ', ' ORDER BY created_at) FROM credits.top_ups`)
}

func (r *refiller) wantState(want string) {
	r.t.Helper()
	if got := r.state(); got != want {
		r.t.Errorf("top-ups are %q, want %q", got, want)
	}
}

// wantTold are the kinds of alerts, the oldest first.
func (r *refiller) wantTold(want string) {
	r.t.Helper()
	if got := r.text(`SELECT string_agg(kind, ' ' ORDER BY created_at) FROM credits.alerts`); got != want {
		r.t.Errorf("told %q, want %q", got, want)
	}
}

// wantBought is how often money came, by all that knows of it.
func (r *refiller) wantBought(n int64) {
	r.t.Helper()
	for what, got := range map[string]int64{
		"purchases": r.count(`SELECT count(*) FROM credits.purchases WHERE kind = 'top_up' AND status = 'completed'`),
		"grants":    r.count(`SELECT count(*) FROM credits.transactions WHERE type = 'purchase'`),
		"payments":  int64(len(r.paid())),
	} {
		if got != n {
			r.t.Errorf("%d %s, want %d", got, what, n)
		}
	}
}

// paid are the payments that succeeded.
func (r *refiller) paid() (list []string) {
	r.t.Helper()
	for intent, err := range r.stripe.Client().V1PaymentIntents.List(r.t.Context(), new(stripe.PaymentIntentListParams)).All(r.t.Context()) {
		if err != nil {
			r.t.Fatal(err)
		}
		if intent.Status == stripe.PaymentIntentStatusSucceeded {
			list = append(list, intent.ID)
		}
	}
	return list
}

// payment is that of the only top-up.
func (r *refiller) payment() string {
	r.t.Helper()
	return r.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE kind = 'top_up'`)
}

// everything delivers all that Stripe has to tell, twice and the newest first.
func (r *refiller) everything() {
	r.t.Helper()
	events := r.stripe.Events()
	for range 2 {
		for i := len(events) - 1; i >= 0; i-- {
			r.deliver(events[i])
		}
	}
}

// edge is another edge on the same database and Stripe.
func (r *refiller) edge() (*billing.Service, *creditcore.Service) {
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: r.db.Pool})
	return billing.New(billing.Config{
		SecretKey: r.stripe.Key, APIURL: r.stripe.URL, WebhookSecrets: []string{r.stripe.WebhookSecret}, BaseURL: "https://auth.mana.how",
	}, billing.Deps{Pool: r.db.Pool, Ledger: ledger, Now: r.stripe.Now}), ledger
}

// together runs work n times at once.
func together(n int, work func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

// bare is an edge without Stripe.
func (r *refiller) bare() *billing.Service {
	return billing.New(billing.Config{}, billing.Deps{Pool: r.db.Pool, Ledger: r.ledger})
}
