package billing_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/internal/stripetest"
)

// 64 debits at once, on two edges that both look for what is due, cross the
// threshold: one purchase, and one more for the next dip.
func TestTopUpOnceADip(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	other, ledger := r.edge()
	ledgers := []*creditcore.Service{r.ledger, ledger}
	ctx, stop := context.WithCancel(t.Context())
	var rounds sync.WaitGroup
	for _, service := range []interface{ TopUpDue(context.Context) error }{r.Service, other} {
		rounds.Go(func() {
			for ctx.Err() == nil {
				if err := service.TopUpDue(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	var refused atomic.Int64
	together(64, func(i int) {
		debit := creditcore.Debit{UserID: "alice", Amount: creditcore.Credits(10), AppID: "chat"}
		_, err := ledgers[i%2].Debit(t.Context(), debit)
		for try := 0; errors.Is(err, creditcore.ErrUnavailable) && try < 50; try++ { // the other edge had the account for too long
			_, err = ledgers[i%2].Debit(t.Context(), debit)
		}
		if err != nil {
			refused.Add(1)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); r.state() != "bought" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	rounds.Wait()
	r.everything()
	r.later()
	r.wantState("bought")
	r.wantBought(1)
	r.wantBalance("alice", 700-640+packCredits)
	r.wantTold("low topped_up")
	if refused.Load() > 0 || r.stripe.Count("POST", "/v1/payment_intents/") != 1 {
		t.Errorf("%d debits refused, %d charges", refused.Load(), r.stripe.Count("POST", "/v1/payment_intents/"))
	}
	if n := r.count(`SELECT count(*) FROM credits.alerts WHERE kind = 'low' AND told_at IS NULL`); n != 0 {
		t.Error("that it is low is told beside what was bought")
	}
	r.spend(800)
	r.later()
	r.wantState("bought, bought")
	r.wantBought(2)
}

// A bank that wants to ask fails the payment while nobody is there, fails once more
// with its owner there, then lets it pass: one purchase.
func TestTopUpIsConfirmed(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.stripe.CardIs(r.card, stripetest.Authenticates)
	r.spend(500)
	r.round()
	r.everything()
	r.wantState("confirm")
	r.wantTold("low top_up_confirm")
	r.round() // nobody is asked again meanwhile
	if n := r.stripe.Count("POST", "/v1/payment_intents/"); n != 1 {
		t.Errorf("charged %d times", n)
	}
	now, err := r.TopUp(t.Context(), r.who)
	if err != nil || now.Running == nil || !now.Running.Confirm || now.Running.PriceEuroCents != packCents {
		t.Fatalf("%+v, %v", now, err)
	}
	confirm := func(want string) {
		t.Helper()
		page, err := r.ConfirmTopUp(t.Context(), r.who, topUpPage)
		if err != nil || page != want {
			t.Fatalf("page %q, want %q, %v", page, want, err)
		}
	}
	intent := r.payment()
	page := "https://hooks.stripe.com/3d_secure%2F" + intent
	confirm(page)
	confirm(page) // they went back, and come again
	r.deliver(r.stripe.FailAuthentication(intent)...)
	r.wantState("confirm")
	confirm(page)
	r.stripe.Authenticate(intent)
	if err := r.RefreshTopUp(t.Context(), r.who); err != nil { // they are back before the event
		t.Fatal(err)
	}
	r.everything()
	r.later()
	r.wantState("bought")
	r.wantBought(1)
	r.wantBalance("alice", 200+packCredits)
	r.wantTold("low top_up_confirm topped_up")
	if _, err := r.ConfirmTopUp(t.Context(), r.who, topUpPage); !errors.Is(err, topup.ErrNothingToConfirm) {
		t.Errorf("once more: %v", err)
	}
}

// Whom nobody confirms: the payment is cancelled, and it is switched off.
func TestTopUpIsNeverConfirmed(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.stripe.CardIs(r.card, stripetest.Authenticates)
	r.spend(500)
	r.round()
	r.later()
	r.wantState("ended unconfirmed")
	r.wantTold("low top_up_confirm top_up_off")
	r.wantOff("unconfirmed")
	if got := r.stripe.Events().Of("payment_intent.canceled"); len(got) != 1 {
		t.Errorf("%d payments cancelled", len(got))
	}
}

// wantOff is that it has switched itself off.
func (r *refiller) wantOff(reason string) {
	r.t.Helper()
	now, err := r.TopUp(r.t.Context(), r.who)
	if err != nil || now.Enabled || now.OffReason != reason || now.Running != nil {
		r.t.Errorf("%+v, %v", now, err)
	}
	r.wantBought(0)
}

// A card that is declined is tried again, with the same payment, and after three
// failures no more.
func TestTopUpIsDeclined(t *testing.T) {
	t.Parallel()
	for _, works := range []bool{true, false} {
		r := newRefiller(t)
		r.stripe.CardIs(r.card, stripetest.Declined)
		r.spend(500)
		r.round()
		r.everything()
		r.wantState("open declined")
		r.later()
		r.round() // not yet
		r.wantTold("low top_up_failed top_up_failed")
		if works {
			r.stripe.CardIs(r.card, stripetest.Works)
			r.later()
			r.everything()
			r.wantState("bought")
			r.wantBought(1)
			if n := r.count(`SELECT failures FROM credits.top_up_settings`); n != 0 {
				t.Errorf("%d failures", n)
			}
			continue
		}
		r.later()
		r.everything()
		r.wantState("ended declined")
		r.wantTold("low top_up_failed top_up_failed top_up_off")
		r.wantOff("declined")
		if n := r.stripe.Count("POST", "/v1/payment_intents"); n != 5 { // made, three tries, cancelled
			t.Errorf("Stripe was asked %d times", n)
		}
		r.spend(10)
		r.later()
		r.wantState("ended declined")
	}
}

// Who is there can pay what was declined, with another card.
func TestDeclinedTopUpIsPaidByItsOwner(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.stripe.CardIs(r.card, stripetest.Declined)
	r.spend(500)
	r.round()
	if _, err := r.ConfirmTopUp(t.Context(), r.who, topUpPage); !errors.As(err, new(*stripeapi.PaymentError)) {
		t.Errorf("the same card: %v", err)
	}
	if another := r.saveCard(r.who); another == r.card {
		t.Fatal("it is the same card")
	}
	if page, err := r.ConfirmTopUp(t.Context(), r.who, topUpPage); page != "" || err != nil {
		t.Errorf("page %q, %v", page, err)
	}
	r.everything()
	r.wantState("bought")
	r.wantBought(1)
}

// An edge that dies between its words with Stripe leaves what another goes on with:
// one payment, one purchase, one grant.
func TestTopUpAfterADeath(t *testing.T) {
	t.Parallel()
	const make, confirm = "/v1/payment_intents", "/v1/payment_intents/"
	for name, c := range map[string]struct {
		trouble func(*stripetest.Server)
		mend    func(*refiller)
	}{
		"before the payment is made":     {func(s *stripetest.Server) { s.FailNext("POST", make, 503, 1) }, nil},
		"before its id is stored":        {func(s *stripetest.Server) { s.LoseNext("POST", make, 3) }, nil},
		"before it is charged":           {func(s *stripetest.Server) { s.FailNext("POST", confirm, 500, 1) }, nil},
		"once it is charged":             {func(s *stripetest.Server) { s.LoseNext("POST", confirm, 3) }, nil},
		"once it is charged, event":      {func(s *stripetest.Server) { s.LoseNext("POST", confirm, 3) }, (*refiller).everything},
		"once it is charged, reconciled": {func(s *stripetest.Server) { s.LoseNext("POST", confirm, 3) }, (*refiller).reconciled},
		"when it was brought up to date": {func(s *stripetest.Server) { s.FailNext("GET", confirm, 400, 1) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRefiller(t)
			r.spend(500)
			c.trouble(r.stripe)
			if err := r.TopUpDue(t.Context()); err == nil {
				t.Fatal("nothing went wrong")
			}
			r.wantState("open stripe")
			if c.mend != nil {
				c.mend(r)
			}
			r.stripe.Advance(time.Hour) // Stripe repeats what it answered under a key
			r.later()
			r.everything()
			r.later()
			r.wantState("bought")
			r.wantBought(1)
			r.wantBalance("alice", 200+packCredits)
			if n := r.count(`SELECT count(*) FROM credits.purchases`); n != 1 {
				t.Errorf("%d purchases", n)
			}
		})
	}
}

// reconciled has the comparison with Stripe find what no event told.
func (r *refiller) reconciled() {
	r.stripe.Advance(reconcileAfter)
	r.wantDrift(purchase.Drift{Uncredited: 1})
	r.wantState("bought")
}

// A month takes no more than its cap, in money, and a day three top-ups.
func TestTopUpLimits(t *testing.T) {
	t.Parallel()
	t.Run("cap", func(t *testing.T) {
		t.Parallel()
		r := newRefiller(t)
		r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents + packCents - 1})
		r.spend(500)
		r.round()
		r.spend(1000)
		r.round()
		r.wantState("bought, open cap")
		r.later()
		r.wantState("bought, open cap")
		r.wantTold("low topped_up low top_up_capped")
		if n := r.count(`SELECT count(*) FROM credits.top_ups WHERE due_at = (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'`); n != 1 {
			t.Error("it does not wait for the next month")
		}
		r.wantBought(1)
		now, err := r.TopUp(t.Context(), r.who)
		if err != nil || now.Spent != packCents || now.Running.Reason != "cap" {
			t.Errorf("%+v, %v", now, err)
		}
		r.exec(`UPDATE credits.top_ups SET ordered_at = ordered_at - interval '32 days' WHERE ordered_at IS NOT NULL`)
		r.later()
		r.wantState("bought, bought")
		r.wantBought(2)
	})
	t.Run("raised", func(t *testing.T) {
		t.Parallel()
		r := newRefiller(t)
		r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents})
		r.spend(500)
		r.round()
		r.spend(1000)
		r.round()
		r.wantState("bought, open cap")
		r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: 2 * packCents})
		r.round()
		r.wantState("bought, bought")
	})
	t.Run("day", func(t *testing.T) {
		t.Parallel()
		r := newRefiller(t)
		for range topup.MostADay + 1 {
			r.spend(int64(r.balance("alice")/creditcore.Credit) - 100)
			r.round()
		}
		r.wantState("bought, bought, bought, open daily")
		r.wantBought(3)
		if n := r.count(`SELECT count(*) FROM credits.top_ups WHERE state = 'open' AND due_at BETWEEN now() + interval '23 hours' AND now() + interval '24 hours'`); n != 1 {
			t.Error("it does not wait for a day")
		}
	})
}

// What ends a top-up takes no money.
func TestTopUpEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(*refiller)
		state     string
		off       string // why it is off; empty: on, or by its owner
	}{
		"bought by hand": {func(r *refiller) { r.give("alice", 1000) }, "ended unneeded", ""},
		"switched off":   {func(r *refiller) { r.agree(topup.Change{}) }, "ended off", ""},
		"card forgotten": {func(r *refiller) {
			if err := r.ForgetCard(r.t.Context(), r.who); err != nil {
				r.t.Error(err)
			}
		}, "ended off", ""},
		"card gone at Stripe": {func(r *refiller) {
			if _, err := r.stripe.Client().V1PaymentMethods.Detach(r.t.Context(), r.card, nil); err != nil {
				r.t.Error(err)
			}
		}, "ended card", "card"},
		"customer gone at Stripe": {func(r *refiller) {
			id := r.text(`SELECT stripe_customer_id FROM credits.stripe_customers`)
			if _, err := r.stripe.Client().V1Customers.Delete(r.t.Context(), id, nil); err != nil {
				r.t.Error(err)
			}
		}, "ended card", "card"},
		"price raised":           {func(r *refiller) { r.exec(`UPDATE credits.packages SET price_euro_cents = price_euro_cents + 1`) }, "ended package", "package"},
		"not for sale":           {func(r *refiller) { r.exec(`UPDATE credits.packages SET active = false`) }, "ended package", "package"},
		"package too small":      {func(r *refiller) { r.exec(`UPDATE credits.packages SET credits = 299000`) }, "ended package", "package"},
		"card of the other mode": {func(r *refiller) { r.exec(`UPDATE credits.top_up_settings SET card_livemode = true`) }, "ended card", "card"},
		"account closed":         {func(r *refiller) { r.exec(`UPDATE auth.users SET deleted_at = now()`) }, "ended off", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRefiller(t)
			r.spend(500)
			c.meanwhile(r)
			r.round()
			r.later()
			r.wantState(c.state)
			r.wantBought(0)
			told := "low"
			if c.off != "" {
				told += " top_up_off"
			}
			r.wantTold(told)
			if got := r.text(`SELECT off_reason FROM credits.top_up_settings`); got != c.off {
				t.Errorf("off because of %q, want %q", got, c.off)
			}
		})
	}
}

// A payment that was charged as it was switched off stays bought.
func TestTopUpIsPaidAsItEnds(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.spend(500)
	r.stripe.LoseNext("POST", "/v1/payment_intents/", 3)
	if err := r.TopUpDue(t.Context()); err == nil {
		t.Fatal("nothing went wrong")
	}
	r.agree(topup.Change{})
	r.round()
	r.wantState("bought")
	r.wantBought(1)
	r.wantBalance("alice", 200+packCredits)
}

// A refund or dispute of what a top-up bought goes the way of every purchase.
func TestTopUpIsReversed(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.spend(500)
	r.round()
	r.deliver(r.stripe.Refund(r.payment(), 333)...)
	r.wantBalance("alice", 200+667)
	r.deliver(r.stripe.Dispute(r.payment(), packCents-333)...)
	r.wantBalance("alice", 200)
	r.wantState("bought, open") // which is another dip
	r.deliver(r.stripe.WinDispute(r.payment())...)
	r.wantBalance("alice", 200+667)
}

// It is off until its owner agrees, and to nothing that makes no sense.
func TestTopUpSettings(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	who, mallory := s.user("alice"), s.user("mallory")
	s.give("alice", 100)
	good := topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents}
	wantErr := func(what string, to topup.Change, want error) {
		t.Helper()
		if err := s.SetTopUp(t.Context(), who, to); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	wantErr("no card", good, topup.ErrNoCard)
	if now, err := s.TopUp(t.Context(), who); err != nil || cmp.Diff(topup.Settings{}, now) != "" {
		t.Errorf("%+v, %v", now, err)
	}

	page, err := s.SaveCard(t.Context(), who, topUpPage, topUpPage)
	if err != nil {
		t.Fatal(err)
	}
	session := page[strings.LastIndex(page, "cs_test"):]
	if err := s.CardSaved(t.Context(), who, session); err != nil { // not complete
		t.Error(err)
	}
	wantErr("no card yet", good, topup.ErrNoCard)
	s.stripe.Pay(session)
	for _, id := range []string{session, "cs_test_unknown", ""} {
		if err := s.CardSaved(t.Context(), mallory, id); err != nil {
			t.Errorf("of %q: %v", id, err)
		}
	}
	if now, err := s.TopUp(t.Context(), mallory); err != nil || now.Card != nil {
		t.Errorf("mallory has %+v, %v", now.Card, err)
	}
	if err := s.CardSaved(t.Context(), who, session); err != nil {
		t.Error(err)
	}
	s.deliver(s.stripe.Events()...)
	for what, c := range map[string]struct {
		to   topup.Change
		want error
	}{
		"no threshold":   {topup.Change{Enabled: true, PackageID: packageID, MonthlyCap: packCents}, topup.ErrThreshold},
		"high threshold": {topup.Change{Enabled: true, Threshold: creditcore.Credits(packCredits + 1), PackageID: packageID, MonthlyCap: packCents}, topup.ErrThreshold},
		"no package":     {topup.Change{Enabled: true, Threshold: 1000, MonthlyCap: packCents}, catalog.ErrPackageNotFound},
		"small cap":      {topup.Change{Enabled: true, Threshold: 1000, PackageID: packageID, MonthlyCap: packCents - 1}, topup.ErrCap},
		"huge cap":       {topup.Change{Enabled: true, Threshold: 1000, PackageID: packageID, MonthlyCap: 1e8}, topup.ErrCap},
	} {
		wantErr(what, c.to, c.want)
	}

	// Who is low already is topped up at once.
	wantErr("good", good, nil)
	if err := s.TopUpDue(t.Context()); err != nil {
		t.Error(err)
	}
	s.wantBalance("alice", 100+packCredits)
	threshold := creditcore.Credits(300)
	now, err := s.TopUp(t.Context(), who)
	want := topup.Settings{Enabled: true, Threshold: &threshold, PackageID: packageID, PriceEuroCents: packCents, MonthlyCap: packCents, Spent: packCents}
	if now.Card == nil || now.Card.Brand != "visa" || now.Card.Last4 != "4242" || now.Card.ExpMonth != 12 {
		t.Errorf("card %+v", now.Card)
	}
	if now.Card = nil; err != nil || cmp.Diff(want, now) != "" {
		t.Errorf("%s, %v", cmp.Diff(want, now), err)
	}
	if err := s.ledger.SetLowBalance(t.Context(), who, &threshold); !errors.Is(err, creditcore.ErrToppedUp) {
		t.Errorf("the threshold is changed elsewhere: %v", err)
	}
	wantErr("off", topup.Change{}, nil)
	if err := s.ledger.SetLowBalance(t.Context(), who, nil); err != nil {
		t.Error(err)
	}
	if err := s.ledger.SetLowBalance(t.Context(), creditcore.Caller{UserID: "nobody"}, nil); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

// What lets more money be taken than before wants a proof.
func TestTopUpRaises(t *testing.T) {
	t.Parallel()
	threshold := creditcore.Credits(300)
	on := topup.Settings{Enabled: true, Threshold: &threshold, PackageID: "p", PriceEuroCents: 5, MonthlyCap: 10}
	same := topup.Change{Enabled: true, Threshold: threshold, PackageID: "p", MonthlyCap: 10}
	for name, c := range map[string]struct {
		from topup.Settings
		to   func(*topup.Change)
		want bool
	}{
		"the same":         {on, func(*topup.Change) {}, false},
		"off":              {on, func(c *topup.Change) { c.Enabled, c.MonthlyCap = false, 99 }, false},
		"on":               {topup.Settings{Threshold: &threshold, PackageID: "p", MonthlyCap: 10}, func(*topup.Change) {}, true},
		"lower":            {on, func(c *topup.Change) { c.Threshold, c.MonthlyCap = 1, 5 }, false},
		"higher cap":       {on, func(c *topup.Change) { c.MonthlyCap++ }, true},
		"higher threshold": {on, func(c *topup.Change) { c.Threshold++ }, true},
		"another package":  {on, func(c *topup.Change) { c.PackageID = "q" }, true},
	} {
		change := same
		c.to(&change)
		if got := c.from.Raises(change); got != c.want {
			t.Errorf("%s raises: %t", name, got)
		}
	}
}

// What was ordered and waits for its card is charged by what its owner agrees to by then:
// not beyond the cap, and no other package. In a later month it is of that month.
func TestTopUpWaitsByNewTerms(t *testing.T) {
	t.Parallel()
	const small = "6f1a3c52-1d3e-4f0a-9b1e-000000000002"
	waiting := func(t *testing.T) *refiller {
		t.Helper()
		r := newRefiller(t)
		r.exec(`INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES ($1, 'Small', 400000, 499)`, small)
		r.spend(500)
		r.round()
		r.spend(1000)
		r.stripe.CardIs(r.card, stripetest.Declined)
		r.round()
		r.wantState("bought, open declined")
		r.stripe.CardIs(r.card, stripetest.Works)
		return r
	}
	terms := topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents}
	t.Run("a lower cap", func(t *testing.T) {
		t.Parallel()
		r := waiting(t)
		r.agree(terms)
		r.later()
		r.wantState("bought, open cap")
		r.wantBought(1)
		higher := terms
		higher.MonthlyCap = 2 * packCents
		r.agree(higher)
		r.round()
		r.wantState("bought, bought")
		r.wantBought(2)
	})
	t.Run("another package", func(t *testing.T) {
		t.Parallel()
		r := waiting(t)
		other := terms
		other.PackageID, other.MonthlyCap = small, packCents+499
		r.agree(other)
		r.round()
		r.round()
		r.wantState("bought, ended off, bought")
		r.wantBought(2)
		r.wantBalance("alice", 200+packCredits-1000+400)
		if now, err := r.TopUp(t.Context(), r.who); err != nil || !now.Enabled || now.Spent != packCents+499 {
			t.Errorf("%+v, %v", now, err)
		}
	})
	t.Run("another month", func(t *testing.T) {
		t.Parallel()
		r := waiting(t)
		r.agree(terms)
		r.exec(`UPDATE credits.top_ups SET ordered_at = ordered_at - interval '32 days'`)
		r.later()
		r.wantState("bought, bought")
		if now, err := r.TopUp(t.Context(), r.who); err != nil || now.Spent != packCents {
			t.Errorf("the month took %d cents, %v", now.Spent, err)
		}
	})
}

// A card is replaced by a newer one alone, and Stripe forgets the other; it is
// forgotten when its owner wants it, and when they leave.
func TestCardIsForgotten(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	attached := func(card string) bool {
		t.Helper()
		method, err := r.stripe.Client().V1PaymentMethods.Retrieve(t.Context(), card, nil)
		if err != nil {
			t.Fatal(err)
		}
		return method.Customer != nil
	}
	first := r.stripe.Events().Of("checkout.session.completed")
	r.stripe.Advance(time.Minute)
	second := r.saveCard(r.who)
	if attached(r.card) || !attached(second) {
		t.Error("the card that was replaced is kept")
	}
	r.exec(`DELETE FROM credits.stripe_events`)
	r.deliver(first...)
	if got := r.text(`SELECT payment_method_id FROM credits.top_up_settings`); got != second {
		t.Error("an old card came back")
	}
	r.stripe.FailNext("POST", "/v1/payment_methods", 503, 1)
	if err := r.ForgetCard(t.Context(), r.who); !errors.Is(err, topup.ErrCard) {
		t.Errorf("Stripe is away: %v", err)
	}
	r.stripe.Advance(24 * time.Hour)
	for range 2 {
		if err := r.ForgetCard(t.Context(), r.who); err != nil {
			t.Error(err)
		}
	}
	if now, err := r.TopUp(t.Context(), r.who); err != nil || now.Card != nil || now.Enabled || attached(second) {
		t.Errorf("%+v, %v", now, err)
	}

	third := r.saveCard(r.who)
	r.exec(`UPDATE auth.users SET deleted_at = now()`)
	if err := r.ForgetClosed(t.Context()); err != nil {
		t.Error(err)
	}
	if n := r.count(`SELECT count(*) FROM credits.top_up_settings`); n != 0 || attached(third) {
		t.Error("the card of who has left is kept")
	}
}

// An organisation's account is topped up as a user's is; who agreed is who bought.
func TestTopUpOfAnOrganization(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	who := s.user("alice")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'acme', 'alice', 'owner')`)
	who.Organization = "acme"
	r := &refiller{till: s, who: who}
	r.give("org:acme", 400)
	r.saveCard(who)
	r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents})
	r.spend(200)
	r.round()
	r.wantState("bought")
	r.wantBalance("org:acme", 200+packCredits)
	if got := s.text(`SELECT user_id || ' ' || bought_by FROM credits.purchases`); got != "org:acme alice" {
		t.Errorf("bought by %s", got)
	}
	who.Organization = ""
	if now, err := s.TopUp(t.Context(), who); err != nil || now.Card != nil || now.Enabled {
		t.Errorf("alice herself has %+v, %v", now, err)
	}
}

// Without Stripe nothing is saved and nothing is bought.
func TestTopUpWithoutStripe(t *testing.T) {
	t.Parallel()
	r := newRefiller(t)
	r.spend(500)
	bare := r.bare()
	if err := bare.TopUpDue(t.Context()); err != nil {
		t.Error(err)
	}
	_, saving := bare.SaveCard(t.Context(), r.who, topUpPage, topUpPage)
	_, confirming := bare.ConfirmTopUp(t.Context(), r.who, topUpPage)
	for what, err := range map[string]error{
		"save": saving, "confirm": confirming, "forget": bare.ForgetCard(t.Context(), r.who), "set": bare.SetTopUp(t.Context(), r.who, topup.Change{Enabled: true}),
	} {
		if !errors.Is(err, stripeapi.ErrNotConfigured) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := errors.Join(bare.RefreshTopUp(t.Context(), r.who), bare.CardSaved(t.Context(), r.who, "cs_test"), bare.SetTopUp(t.Context(), r.who, topup.Change{})); err != nil {
		t.Error(err)
	}
	r.round()
	r.wantState("ended off")
	for _, to := range []string{"https://evil.test/", "https://auth.mana.how.evil.test"} {
		if _, err := r.SaveCard(t.Context(), r.who, to, topUpPage); !errors.As(err, new(*stripeapi.ReturnURLError)) {
			t.Errorf("leads to %s: %v", to, err)
		}
		if _, err := r.ConfirmTopUp(t.Context(), r.who, to); !errors.As(err, new(*stripeapi.ReturnURLError)) {
			t.Errorf("leads to %s: %v", to, err)
		}
	}
}
