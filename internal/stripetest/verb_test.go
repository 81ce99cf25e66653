package stripetest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// failing is a test whose failures are looked at.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestImpossibleVerbsFailTheTest(t *testing.T) {
	t.Parallel()
	fake := &failing{TB: t}
	srv := stripetest.New(fake)
	a := &account{Server: srv, t: t, ctx: t.Context(), client: srv.Client()}
	a.customer = must(a.client.V1Customers.Create(a.ctx, &stripe.CustomerCreateParams{Email: stripe.String("a@x.de")}))(t).ID
	price := a.AddPrice("price_plus", 499, "month")
	paid, open, expired := a.intent(500), a.intent(500), a.session(500)
	a.Pay(paid)
	a.ExpireSession(expired)
	sub := a.Subscribe(a.customer, price, nil).Object("subscription")
	refund := a.Refund(paid, 100).Object("refund")
	a.FailRefund(refund)
	ended := a.Subscribe(a.customer, price, nil).Object("subscription")
	a.EndSubscription(ended)
	invoice := a.subscription(sub).LatestInvoice.ID

	for _, test := range []struct {
		name string
		do   func()
		word string
	}{
		{"pay twice", func() { a.Pay(paid) }, "cannot be paid"},
		{"pay an unknown object", func() { a.Pay("pi_x") }, `no object "pi_x"`},
		{"pay a customer", func() { a.Pay(a.customer) }, "has no payment"},
		{"pay an expired session", func() { a.Pay(expired) }, "has no payment"},
		{"end a debit that never began", func() { a.AsyncSucceed(open) }, "not processing"},
		{"expire twice", func() { a.ExpireSession(expired) }, "status of `expired`"},
		{"refund the unpaid", func() { a.Refund(open, 1) }, "has no charge"},
		{"refund too much", func() { a.Refund(paid, 501) }, "greater than unrefunded"},
		{"fail a refund twice", func() { a.FailRefund(refund) }, "is failed"},
		{"dispute too much", func() { a.Dispute(paid, 501) }, "cannot dispute"},
		{"win without a dispute", func() { a.WinDispute(paid) }, "no open dispute"},
		{"take a price twice", func() { a.AddPrice("price_plus", 1, "") }, "already"},
		{"renew the ended", func() { a.RenewSubscription(ended) }, "does not renew"},
		{"end twice", func() { a.EndSubscription(ended) }, "is canceled"},
		{"finalize the paid", func() { a.FinalizeInvoice(invoice) }, "not a draft"},
		{"void the paid", func() { a.VoidInvoice(invoice) }, "not open"},
		{"renew an invoice", func() { a.RenewSubscription(invoice) }, "not a subscription"},
		{"set a field of nothing", func() { a.Set(paid, "nothing.here", 1) }, "no object at"},
		{"show an unknown object", func() { stripetest.Object[stripe.Charge](srv, "ch_x") }, `no object "ch_x"`},
	} {
		fake.said = ""
		done := make(chan struct{})
		go func() {
			defer close(done)
			test.do()
		}()
		<-done
		if !strings.Contains(fake.said, test.word) {
			t.Errorf("%s: said %q, want %q", test.name, fake.said, test.word)
		}
	}
	a.Pay(open) // no verb left the server locked
}

func TestDisputesAreNamedByThemselves(t *testing.T) {
	t.Parallel()
	a := open(t)
	one, two := a.intent(500), a.intent(500)
	a.Pay(one)
	a.Pay(two)
	first, second := a.Dispute(one, 0).Object("dispute"), a.Dispute(two, 0).Object("dispute")
	same(t, "second", second, a.LoseDispute(second).Object("dispute"))
	same(t, "first", first, a.LoseDispute(one).Object("dispute"))
}

func TestCustomerShowsSubscriptions(t *testing.T) {
	t.Parallel()
	a := open(t)
	price := a.AddPrice("", 499, "month")
	a.EndSubscription(a.Subscribe(a.customer, price, nil).Object("subscription"))
	running := a.Subscribe(a.customer, price, nil).Object("subscription")
	got := stripetest.Object[stripe.Customer](a.Server, a.customer, "subscriptions.data.latest_invoice")
	same(t, "running", []any{1, running, stripe.InvoiceStatusPaid},
		[]any{len(got.Subscriptions.Data), got.Subscriptions.Data[0].ID, got.Subscriptions.Data[0].LatestInvoice.Status})
}

func TestSetReachesInside(t *testing.T) {
	t.Parallel()
	a := open(t)
	sub := a.Subscribe(a.customer, a.AddPrice("", 499, "month"), nil).Object("subscription")
	invoice := a.subscription(sub).LatestInvoice.ID
	a.Set(invoice, "status_transitions.paid_at", 7)
	same(t, "paid at", int64(7), a.invoice(invoice).StatusTransitions.PaidAt)
	_, err := a.client.V1PaymentIntents.Cancel(a.ctx, a.invoice(a.DraftInvoice(sub).Object("invoice")).ID, nil)
	refused(t, err, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "intent")
}
