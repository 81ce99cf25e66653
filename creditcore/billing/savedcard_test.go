package billing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/stripetest"
)

// buySaving begins a purchase whose card is to be kept and returns its id and that of its
// payment.
func (s *till) buySaving(c creditcore.Caller) (purchaseID, intentID string) {
	s.t.Helper()
	begun, err := s.Buy(s.t.Context(), c, purchase.Order{PackageID: packageID, SaveCard: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return begun.PurchaseID, s.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE id = $1`, begun.PurchaseID)
}

// linkSaving does so by link, with the id of its session.
func (s *till) linkSaving(c creditcore.Caller) (purchaseID, sessionID string) {
	s.t.Helper()
	made, err := s.PaymentLink(s.t.Context(), c, purchase.LinkOrder{PackageID: packageID, SaveCard: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.PurchaseID, s.text(`SELECT stripe_session_id FROM credits.purchases WHERE id = $1`, made.PurchaseID)
}

// keptCard is Stripe's id of the card that an account has, empty for none.
func (s *till) keptCard(account string) string {
	s.t.Helper()
	return s.text(`SELECT payment_method_id FROM credits.top_up_settings WHERE account_id = $1`, account)
}

// wantKept is that an account has this card, which Stripe keeps, or with an empty id none.
func (s *till) wantKept(account, card string) {
	s.t.Helper()
	if got := s.keptCard(account); got != card || card != "" && !s.attached(card) {
		s.t.Errorf("%s has the card %q, want %q", account, got, card)
	}
}

// attached reports whether Stripe keeps a way to pay for a customer.
func (s *till) attached(method string) bool {
	s.t.Helper()
	return stripetest.Object[stripe.PaymentMethod](s.stripe, method).Customer != nil
}

// payer is Stripe's id of what paid a payment intent or a session.
func (s *till) payer(id string) string {
	s.t.Helper()
	if id[:2] == "cs" {
		id = stripetest.Object[stripe.CheckoutSession](s.stripe, id).PaymentIntent.ID
	}
	return stripetest.Object[stripe.PaymentIntent](s.stripe, id).PaymentMethod.ID
}

// The card that pays is kept, whichever way the purchase is made and learned of, and tops
// the account up while nobody is there.
func TestCardOfAPurchaseIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin func(*till, creditcore.Caller) (purchaseID, paymentID string)
		learn func(*till, creditcore.Caller, string, stripetest.Events)
	}{
		"bought, by events":     {(*till).buySaving, byEvents},
		"by link, by events":    {(*till).linkSaving, byEvents},
		"by link, as they come": {(*till).linkSaving, byReturn},
		"bought, reconciled":    {(*till).buySaving, byReconciling},
		"by link, reconciled":   {(*till).linkSaving, byReconciling},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			r := &refiller{till: s, who: s.user("alice")}
			id, payment := c.begin(s, r.who)
			c.learn(s, r.who, payment, s.stripe.Pay(payment))
			s.wantStatus(id, purchase.Completed)
			s.wantBalance("alice", packCredits)
			s.wantKept("alice", s.payer(payment))
			r.everything()
			s.wantKept("alice", s.payer(payment))

			now, err := s.TopUp(t.Context(), r.who)
			if err != nil || now.Enabled || now.Card == nil || now.Card.Brand != "visa" || now.Card.Last4 != "4242" || now.Card.ExpMonth != 12 {
				t.Fatalf("%+v, %v", now, err)
			}
			r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents})
			r.spend(800)
			r.round()
			r.everything()
			r.wantState("bought")
			s.wantBalance("alice", 200+packCredits)
			if paid := s.payer(r.payment()); paid != s.payer(payment) {
				t.Errorf("the top-up was paid with %s", paid)
			}
		})
	}
}

func byEvents(s *till, _ creditcore.Caller, _ string, events stripetest.Events) { s.deliver(events...) }

func byReturn(s *till, c creditcore.Caller, session string, _ stripetest.Events) {
	s.t.Helper()
	if err := s.CardSaved(s.t.Context(), c, session); err != nil {
		s.t.Error(err)
	}
}

func byReconciling(s *till, _ creditcore.Caller, _ string, _ stripetest.Events) {
	s.t.Helper()
	s.stripe.Advance(reconcileAfter)
	s.wantDrift(purchase.Drift{Uncredited: 1})
}

// A purchase that asks for nothing asks Stripe for nothing, keeps nothing, and learns of
// nothing.
func TestCardOfAPurchaseIsNotKept(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	_, intent := s.buy(alice)
	_, session := s.link(alice)
	for _, payment := range []string{intent, session} {
		s.deliver(s.stripe.Pay(payment)...)
		if s.attached(s.payer(payment)) {
			t.Errorf("Stripe keeps what paid %s", payment)
		}
	}
	s.wantKept("alice", "")
	made := stripetest.Object[stripe.PaymentIntent](s.stripe, intent)
	opened := stripetest.Object[stripe.CheckoutSession](s.stripe, session)
	if made.SetupFutureUsage != "" || made.PaymentMethodOptions.Card != nil || opened.PaymentMethodOptions.Card != nil {
		t.Errorf("asked for %+v and %+v", made.PaymentMethodOptions, opened.PaymentMethodOptions)
	}
	if n := len(s.stripe.Events().Of("payment_method.attached")); n != 0 {
		t.Errorf("%d were attached", n)
	}
}

// A bank account is no card: nothing is kept of it, neither here nor at Stripe.
func TestBankAccountOfAPurchaseIsNotKept(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	_, intent := s.buySaving(alice)
	_, session := s.linkSaving(alice)
	for _, payment := range []string{intent, session} {
		s.stripe.FailCard(payment) // they have tried with a card before
		s.deliver(s.stripe.PayAsync(payment)...)
		s.deliver(s.stripe.AsyncSucceed(payment)...)
		if s.attached(s.payer(payment)) {
			t.Errorf("Stripe keeps what paid %s", payment)
		}
	}
	s.wantBalance("alice", 2*packCredits)
	s.wantKept("alice", "")
}

// A key stands for what was asked of the card, too.
func TestKeyOfAPurchaseThatKeepsItsCard(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	buy := func(key string, save bool) (purchase.Intent, error) {
		return s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID, SaveCard: save, Key: key})
	}
	link := func(key string, save bool) (purchase.PaymentLink, error) {
		return s.PaymentLink(t.Context(), alice, purchase.LinkOrder{PackageID: packageID, SaveCard: save, Key: key})
	}
	for _, save := range []bool{true, false} {
		key := map[bool]string{true: "kept", false: "not"}[save]
		first, err := buy(key, save)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := buy(key, save); err != nil || !again.Replayed || again.ClientSecret != first.ClientSecret {
			t.Errorf("%s again: %+v, %v", key, again, err)
		}
		if _, err := buy(key, !save); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("%s with the other choice: %v", key, err)
		}
		made, err := link("link "+key, save)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := link("link "+key, save); err != nil || !again.Replayed || again.URL != made.URL {
			t.Errorf("link %s again: %+v, %v", key, again, err)
		}
		if _, err := link("link "+key, !save); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("link %s with the other choice: %v", key, err)
		}
	}
	if n := s.count(`SELECT count(*) FROM credits.purchases WHERE save_card`); n != 2 {
		t.Errorf("%d purchases keep their card", n)
	}
	intent := s.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE idempotency_key = 'kept'`)
	s.deliver(s.stripe.Pay(intent)...)
	s.wantKept("alice", s.payer(intent))
}

// Events and the page that they come back to race, and events come twice: one card, once.
func TestCardOfAPurchaseIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	_, session := s.linkSaving(alice)
	events := s.stripe.Pay(session)
	together(8, func(i int) {
		if i%2 == 0 {
			byReturn(s, alice, session, nil)
			return
		}
		s.deliver(events...)
	})
	s.wantBalance("alice", packCredits)
	s.wantKept("alice", s.payer(session))
	s.exec(`DELETE FROM credits.stripe_events`)
	s.deliver(events...)
	s.wantKept("alice", s.payer(session))
	if n := len(s.stripe.Events().Of("payment_method.detached")); n != 0 {
		t.Errorf("%d cards were detached", n)
	}
}

// A session of somebody else, or of nobody, brings no card.
func TestCardOfAnothersPurchase(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice, mallory := s.user("alice"), s.user("mallory")
	id, session := s.linkSaving(alice)
	s.stripe.Pay(session)
	byReturn(s, mallory, session, nil)
	s.wantStatus(id, purchase.Pending)
	s.wantKept("mallory", "")
	byReturn(s, mallory, "cs_test_unknown", nil)
	byReturn(s, alice, session, nil)
	s.wantKept("alice", s.payer(session))
}

// Whose bank asks at the purchase confirms there, and not again when they are not there.
func TestChallengedCardOfAPurchaseIsKept(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*till, creditcore.Caller) (string, string){"bought": (*till).buySaving, "by link": (*till).linkSaving} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			r := &refiller{till: s, who: s.user("alice")}
			_, payment := begin(s, r.who)
			s.deliver(s.stripe.Challenge(payment)...)
			s.wantKept("alice", "")
			s.deliver(s.stripe.FailAuthentication(payment)...)
			s.wantKept("alice", "")
			s.deliver(s.stripe.Challenge(payment)...)
			s.deliver(s.stripe.Authenticate(payment)...)
			s.wantKept("alice", s.payer(payment))
			r.agree(topup.Change{Enabled: true, Threshold: creditcore.Credits(300), PackageID: packageID, MonthlyCap: packCents})
			r.spend(800)
			r.round()
			r.wantState("bought")
		})
	}
}

// What goes back of the money, in whole or for a while, leaves the card, and brings none
// back that was forgotten meanwhile.
func TestCardOfAReversedPurchaseStays(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	_, intent := s.buySaving(alice)
	s.deliver(s.stripe.Pay(intent)...)
	card := s.payer(intent)
	s.deliver(s.stripe.Dispute(intent, 333)...)
	s.deliver(s.stripe.WinDispute(intent)...)
	s.deliver(s.stripe.Refund(intent, 333)...)
	s.wantKept("alice", card)
	if err := s.ForgetCard(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	s.deliver(s.stripe.Refund(intent, 0)...)
	s.wantBalance("alice", 0)
	s.wantKept("alice", "")
	if s.attached(card) {
		t.Error("Stripe keeps the card that was forgotten")
	}
}

// A card is replaced by a newer one, whichever way each was saved, and Stripe forgets the
// other, in whatever order they are learned of.
func TestNewerCardStays(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	first := s.saveCard(alice)
	s.stripe.Advance(time.Minute)
	_, second := s.buySaving(alice)
	s.deliver(s.stripe.Pay(second)...)
	s.wantKept("alice", s.payer(second))
	if s.attached(first) {
		t.Error("the card that was replaced is kept")
	}
	s.stripe.Advance(time.Minute)
	_, third := s.linkSaving(alice)
	late := s.stripe.Pay(third)
	s.stripe.Advance(time.Minute)
	fourth := s.saveCard(alice)
	s.deliver(late...)
	s.wantBalance("alice", 2*packCredits)
	s.wantKept("alice", fourth)
	for _, payment := range []string{second, third} {
		if s.attached(s.payer(payment)) {
			t.Errorf("the card that paid %s is kept", payment)
		}
	}
}

// Who is gone before the payment is known has no card kept, here or at Stripe.
func TestCardOfAClosedAccountIsNotKept(t *testing.T) {
	t.Parallel()
	leave := func(s *till) { s.exec(`UPDATE auth.users SET deleted_at = now() WHERE id = 'alice'`) }
	dissolve := func(s *till) {
		err := dbscope.InTx(s.t.Context(), s.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			if err := s.ledger.CloseTx(s.t.Context(), tx, "acme", ""); err != nil {
				return err
			}
			_, err := tx.Exec(s.t.Context(), `DELETE FROM auth.organizations`)
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	another := func(s *till) { s.exec(`UPDATE credits.stripe_customers SET stripe_customer_id = 'cus_other'`) }
	for name, c := range map[string]struct {
		had          bool // credits before
		organization string
		meanwhile    func(*till)
		account      string
	}{
		"who had credits":           {true, "", leave, "alice"},
		"who had none":              {false, "", leave, "alice"},
		"of an organisation":        {true, "acme", dissolve, "org:acme"},
		"who bought for one":        {true, "acme", leave, "org:acme"},
		"whose customer is another": {true, "", another, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			who := s.user("alice")
			if who.Organization = c.organization; c.organization != "" {
				s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
				s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'acme', 'alice', 'owner')`)
			}
			if c.had {
				s.give(c.account, 5)
			}
			_, session := s.linkSaving(who)
			c.meanwhile(s)
			for _, e := range s.stripe.Pay(session) {
				s.deliver(e)
			}
			s.wantKept(c.account, "")
			if s.attached(s.payer(session)) {
				t.Error("Stripe keeps the card")
			}
		})
	}
}

// The card that pays for an organisation is the organisation's, by who bought.
func TestCardOfAnOrganizationsPurchase(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	who := s.user("alice")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'acme', 'alice', 'owner')`)
	who.Organization = "acme"
	_, session := s.linkSaving(who)
	s.stripe.Pay(session)
	byReturn(s, who, session, nil)
	s.wantKept("org:acme", s.payer(session))
	s.wantKept("alice", "")
	if got := s.text(`SELECT user_id FROM credits.top_up_settings`); got != "alice" {
		t.Errorf("it was saved by %q", got)
	}
}

// Who leaves between Stripe's word and the transaction has no card kept either.
func TestCardOfAnAccountThatClosesMeanwhile(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	_, session := s.linkSaving(s.user("alice"))
	s.user("bob")
	s.stripe.Pay(session)
	card := stripeapi.CardOf(stripetest.Object[stripe.PaymentMethod](s.stripe, s.payer(session)))
	if card == nil {
		t.Fatal("Stripe does not keep it")
	}
	keep := func(c purchase.PaidCard) {
		t.Helper()
		if err := settle.InTx(t.Context(), dbscope.DB{Pool: s.db.Pool, Error: func(err error) error { return err }}, func(ctx context.Context, tx pgx.Tx) error {
			return s.CardPaid(ctx, tx, c)
		}); err != nil {
			t.Error(err)
		}
	}
	s.exec(`UPDATE auth.users SET deleted_at = now() WHERE id = 'alice'`)
	keep(purchase.PaidCard{Card: *card, Account: "alice", UserID: "bob"})
	s.wantKept("alice", "")
	if s.attached(card.PaymentMethodID) {
		t.Error("Stripe keeps the card")
	}
}
