package stripetest_test

import (
	"errors"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// saved saves a card and returns its id, that of the session, and the events.
func (a *account) saved() (method, session string, events stripetest.Events) {
	a.t.Helper()
	session = must(a.client.V1CheckoutSessions.Create(a.ctx, &stripe.CheckoutSessionCreateParams{
		Mode: stripe.String("setup"), Customer: stripe.String(a.customer), PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		SuccessURL: stripe.String("https://example.org/"),
	}))(a.t).ID
	events = a.Pay(session)
	return events.Object("payment_method"), session, events
}

func (a *account) confirm(intent string, params stripe.PaymentIntentConfirmParams) (*stripe.PaymentIntent, error) {
	return a.client.V1PaymentIntents.Confirm(a.ctx, intent, &params)
}

func TestCardIsSaved(t *testing.T) {
	t.Parallel()
	a := open(t)
	method, session, events := a.saved()
	same(t, "events", []string{"payment_method.attached", "setup_intent.succeeded", "checkout.session.completed"}, events.Types())
	got := stripetest.Object[stripe.CheckoutSession](a.Server, session, "setup_intent.payment_method")
	same(t, "session", []any{stripe.CheckoutSessionModeSetup, stripe.CheckoutSessionStatusComplete, stripe.SetupIntentStatusSucceeded, method, "4242", a.customer},
		[]any{got.Mode, got.Status, got.SetupIntent.Status, got.SetupIntent.PaymentMethod.ID, got.SetupIntent.PaymentMethod.Card.Last4, got.Customer.ID})

	must(a.client.V1PaymentMethods.Detach(a.ctx, method, nil))(t)
	if must(a.client.V1PaymentMethods.Retrieve(a.ctx, method, nil))(t).Customer != nil {
		t.Error("the card is still the customer's")
	}
	_, err := a.client.V1PaymentMethods.Detach(a.ctx, method, nil)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "")
	_, err = a.confirm(a.intent(500), stripe.PaymentIntentConfirmParams{PaymentMethod: &method, OffSession: stripe.Bool(true)})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "")
}

// A saved card is charged without its owner, once; one that is declined can be tried
// again with the same payment.
func TestSavedCardIsCharged(t *testing.T) {
	t.Parallel()
	a := open(t)
	method, _, _ := a.saved()
	a.CardIs(method, stripetest.Declined)
	id := a.intent(500)
	off := stripe.PaymentIntentConfirmParams{PaymentMethod: &method, OffSession: stripe.Bool(true)}
	_, err := a.confirm(id, off)
	refused(t, err, 402, stripe.ErrorTypeCard, stripe.ErrorCodeCardDeclined, "")
	var answer *stripe.Error
	if !errors.As(err, &answer) || answer.PaymentIntent.ID != id || answer.PaymentIntent.Status != stripe.PaymentIntentStatusRequiresPaymentMethod {
		t.Errorf("the refusal is of %+v", answer)
	}
	a.CardIs(method, stripetest.Works)
	got := must(a.confirm(id, off))(t)
	same(t, "paid", []any{stripe.PaymentIntentStatusSucceeded, int64(500), method}, []any{got.Status, got.AmountReceived, got.PaymentMethod.ID})
	_, err = a.confirm(id, off)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentIntentUnexpectedState, "")
	same(t, "events", 1, len(a.Events().Of("payment_intent.succeeded")))
}

// A charge tells the fingerprint of the card that paid, the same for whoever pays with
// it; one of a bank account has none.
func TestCardsHaveFingerprints(t *testing.T) {
	t.Parallel()
	a := open(t)
	paid := func(pay func(string) stripetest.Events) *stripe.Charge {
		t.Helper()
		id := a.intent(500)
		pay(id)
		return stripetest.Object[stripe.PaymentIntent](a.Server, id, "latest_charge").LatestCharge
	}
	first, second := paid(a.Pay).PaymentMethodDetails.Card.Fingerprint, paid(a.Pay).PaymentMethodDetails.Card.Fingerprint
	if first == "" || first != second {
		t.Errorf("one card has the fingerprints %q and %q", first, second)
	}
	method, _, _ := a.saved()
	if saved := must(a.client.V1PaymentMethods.Retrieve(a.ctx, method, nil))(t).Card.Fingerprint; saved != first {
		t.Errorf("saved it has %q", saved)
	}
	a.CardOf(a.customer, "shared")
	same(t, "another card", "shared", paid(a.Pay).PaymentMethodDetails.Card.Fingerprint)
	if bank := paid(a.PayAsync).PaymentMethodDetails; bank.Card != nil || bank.Type != "sepa_debit" {
		t.Errorf("a bank account is %+v", bank)
	}
}

// A card that wants its owner fails without them, and waits with them on a page of
// their bank.
func TestSavedCardAuthenticates(t *testing.T) {
	t.Parallel()
	a := open(t)
	method, _, _ := a.saved()
	a.CardIs(method, stripetest.Authenticates)
	id := a.intent(500)
	_, err := a.confirm(id, stripe.PaymentIntentConfirmParams{PaymentMethod: &method, OffSession: stripe.Bool(true)})
	refused(t, err, 402, stripe.ErrorTypeCard, stripe.ErrorCodeAuthenticationRequired, "")
	on := stripe.PaymentIntentConfirmParams{PaymentMethod: &method, ReturnURL: stripe.String("https://example.org/back")}
	got := must(a.confirm(id, on))(t)
	same(t, "waits", []any{stripe.PaymentIntentStatusRequiresAction, "https://hooks.stripe.com/3d_secure%2F" + id, "https://example.org/back"},
		[]any{got.Status, got.NextAction.RedirectToURL.URL, got.NextAction.RedirectToURL.ReturnURL})
	_, err = a.confirm(id, on)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentIntentUnexpectedState, "")
	same(t, "failed", []string{"payment_intent.payment_failed"}, a.FailAuthentication(id).Types())
	must(a.confirm(id, on))(t)
	same(t, "confirmed", []string{"charge.succeeded", "payment_intent.succeeded"}, a.Authenticate(id).Types())
	canceled := a.intent(500)
	must(a.confirm(canceled, on))(t)
	same(t, "canceled", stripe.PaymentIntentStatusCanceled, must(a.client.V1PaymentIntents.Cancel(a.ctx, canceled, nil))(t).Status)
}

// paysWith makes an intent with options of what pays it, and returns its id.
func (a *account) paysWith(change func(*stripe.PaymentIntentCreateParams)) string {
	a.t.Helper()
	params := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(500), Currency: stripe.String("eur"), Customer: stripe.String(a.customer),
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
	}
	change(params)
	return must(a.client.V1PaymentIntents.Create(a.ctx, params))(a.t).ID
}

// paidWith is what paid an intent.
func (a *account) paidWith(intent string) *stripe.PaymentMethod {
	a.t.Helper()
	return stripetest.Object[stripe.PaymentIntent](a.Server, intent, "payment_method").PaymentMethod
}

// What pays once is attached to the customer where the intent says so, of all that pays
// or of cards alone, and pays again then; all else pays once.
func TestWhatPaysIsKept(t *testing.T) {
	t.Parallel()
	whole := func(usage string) func(*stripe.PaymentIntentCreateParams) {
		return func(p *stripe.PaymentIntentCreateParams) { p.SetupFutureUsage = stripe.String(usage) }
	}
	cards := func(usage string) func(*stripe.PaymentIntentCreateParams) {
		return func(p *stripe.PaymentIntentCreateParams) {
			p.PaymentMethodOptions = &stripe.PaymentIntentCreatePaymentMethodOptionsParams{
				Card: &stripe.PaymentIntentCreatePaymentMethodOptionsCardParams{SetupFutureUsage: stripe.String(usage)},
			}
		}
	}
	both := func(p *stripe.PaymentIntentCreateParams) { whole("off_session")(p); cards("none")(p) }
	anonymous := func(p *stripe.PaymentIntentCreateParams) { whole("off_session")(p); p.Customer = nil }
	for _, c := range []struct {
		name       string
		change     func(*stripe.PaymentIntentCreateParams)
		card, bank bool // is kept
	}{
		{"nothing asked", func(*stripe.PaymentIntentCreateParams) {}, false, false},
		{"whatever pays", whole("off_session"), true, true},
		{"whatever pays, on session", whole("on_session"), true, true},
		{"cards", cards("off_session"), true, false},
		{"no cards", both, false, true},
		{"no customer", anonymous, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			byCard, byBank, declined := a.paysWith(c.change), a.paysWith(c.change), a.paysWith(c.change)
			events := a.Pay(byCard)
			a.PayAsync(byBank)
			a.AsyncSucceed(byBank)
			a.FailCard(declined)
			same(t, "kept", []bool{c.card, c.bank}, []bool{a.paidWith(byCard).Customer != nil, a.paidWith(byBank).Customer != nil})
			same(t, "told", c.card, len(events.Of("payment_method.attached")) == 1)
			want := 0
			for _, kept := range []bool{c.card, c.bank} {
				if kept {
					want++
				}
			}
			same(t, "told in all", want, len(a.Events().Of("payment_method.attached")))

			again := a.intent(500)
			_, err := a.confirm(again, stripe.PaymentIntentConfirmParams{PaymentMethod: &a.paidWith(byCard).ID, OffSession: stripe.Bool(true)})
			if c.card {
				must(0, err)(t)
				return
			}
			refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "")
		})
	}
}

// A card whose bank asks is attached once its owner has answered, by intent or session.
func TestChallengedCardIsKept(t *testing.T) {
	t.Parallel()
	a := open(t)
	id := a.paysWith(func(p *stripe.PaymentIntentCreateParams) { p.SetupFutureUsage = stripe.String("off_session") })
	same(t, "waits", []string{"payment_intent.requires_action"}, a.Challenge(id).Types())
	same(t, "waits", stripe.PaymentIntentStatusRequiresAction, stripetest.Object[stripe.PaymentIntent](a.Server, id).Status)
	if a.paidWith(id).Customer != nil {
		t.Error("it is kept before its owner has answered")
	}
	a.FailAuthentication(id)
	a.Challenge(id)
	same(t, "paid", []string{"payment_method.attached", "charge.succeeded", "payment_intent.succeeded"}, a.Authenticate(id).Types())

	session := a.session(500)
	a.Challenge(session)
	same(t, "open", stripe.CheckoutSessionStatusOpen, a.checkout(session).Status)
	same(t, "paid", []string{"charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"}, a.Authenticate(session).Types())
	same(t, "complete", stripe.CheckoutSessionPaymentStatusPaid, a.checkout(session).PaymentStatus)
}

// A session asks for it as an intent does; what it does not know it refuses.
func TestSessionKeepsWhatPays(t *testing.T) {
	t.Parallel()
	a := open(t)
	begin := func(change func(*stripe.CheckoutSessionCreateParams)) (*stripe.CheckoutSession, error) {
		params := &stripe.CheckoutSessionCreateParams{
			Mode: stripe.String("payment"), Customer: stripe.String(a.customer), SuccessURL: stripe.String("https://mana.how/ok"),
			LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{PriceData: &stripe.CheckoutSessionCreateLineItemPriceDataParams{
				Currency: stripe.String("eur"), UnitAmount: stripe.Int64(500),
				ProductData: &stripe.CheckoutSessionCreateLineItemPriceDataProductDataParams{Name: stripe.String("Small")},
			}}},
		}
		change(params)
		return a.client.V1CheckoutSessions.Create(a.ctx, params)
	}
	whole := func(usage string) func(*stripe.CheckoutSessionCreateParams) {
		return func(p *stripe.CheckoutSessionCreateParams) {
			p.PaymentIntentData = &stripe.CheckoutSessionCreatePaymentIntentDataParams{SetupFutureUsage: stripe.String(usage)}
		}
	}
	cards := func(usage string) func(*stripe.CheckoutSessionCreateParams) {
		return func(p *stripe.CheckoutSessionCreateParams) {
			p.PaymentMethodOptions = &stripe.CheckoutSessionCreatePaymentMethodOptionsParams{
				Card: &stripe.CheckoutSessionCreatePaymentMethodOptionsCardParams{SetupFutureUsage: stripe.String(usage)},
			}
		}
	}
	for _, change := range []func(*stripe.CheckoutSessionCreateParams){whole("off_session"), cards("off_session")} {
		made := must(begin(change))(t)
		a.Pay(made.ID)
		method := a.checkout(made.ID, "payment_intent.payment_method").PaymentIntent.PaymentMethod
		same(t, "kept", []string{a.customer, "4242"}, []string{method.Customer.ID, method.Card.Last4})
	}
	debit := must(begin(cards("off_session")))(t)
	a.PayAsync(debit.ID)
	method := a.checkout(debit.ID, "payment_intent.payment_method").PaymentIntent.PaymentMethod
	same(t, "of a debit", []any{true, stripe.PaymentMethodTypeSEPADebit}, []any{method.Customer == nil, method.Type})

	_, err := begin(whole("always"))
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "payment_intent_data[setup_future_usage]")
	_, err = begin(cards("always"))
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "payment_method_options[card][setup_future_usage]")
	_, err = begin(func(p *stripe.CheckoutSessionCreateParams) {
		cards("off_session")(p)
		p.Mode, p.LineItems, p.PaymentMethodTypes = stripe.String("setup"), nil, stripe.StringSlice([]string{"card"})
	})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "payment_method_options")
	_, err = a.client.V1PaymentIntents.Create(a.ctx, &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(500), Currency: stripe.String("eur"), SetupFutureUsage: stripe.String("none"),
	})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "", "setup_future_usage")
}
