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
