package stripeapi

import (
	"context"
	"fmt"

	"github.com/stripe/stripe-go/v85"
)

// Progress is how far a payment came.
type Progress int

// How far a payment came.
const (
	Open       Progress = iota // nothing happened that counts
	Processing                 // a bank is asked, for days where SEPA
	Declined                   // the last try failed, another may follow
	Over                       // canceled or expired
	Paid
)

// Payment is what Stripe says of a purchase's payment now.
type Payment struct {
	Progress Progress
	// Reason tells why the payment failed.
	Reason string
	// IntentID and SessionID are empty where Stripe has none.
	IntentID, SessionID string
	// PurchaseID is what the intent, or the session that made it, says it is for.
	PurchaseID string

	Amount, Received int64 // cents
	Currency         string
	Livemode         bool
	// Card is what Stripe knows the card again by that paid, whoever has it; empty
	// where no card did.
	Card string
	// Kept is the card that paid where Stripe keeps it for the customer; nil where it
	// does not, where no card paid, and where nobody asked for it.
	Kept *Card
	// Refunded and Disputed are cents that went back, or may.
	Refunded, Disputed int64
}

// Reversed is how much of what was received does not stay, in cents.
func (p Payment) Reversed() int64 { return min(p.Received, p.Refunded+p.Disputed) }

// MethodDetails asks beside a payment for what paid, which [Payment].Kept is read from.
const MethodDetails = "payment_method"

// IntentPayment asks for an intent, with its charge and what else of it is to be
// expanded. One that Stripe does not know is open.
func (s *Client) IntentPayment(ctx context.Context, id string, expand ...string) (Payment, error) {
	ctx, cancel := WithTimeout(ctx)
	defer cancel()
	intent, err := s.V1PaymentIntents.Retrieve(ctx, id, &stripe.PaymentIntentRetrieveParams{
		Expand: stripe.StringSlice(append([]string{"latest_charge"}, expand...)),
	})
	if Missing(err) {
		return Payment{}, nil
	}
	if err != nil {
		return Payment{}, fmt.Errorf("fetch payment intent %s: %w", id, err)
	}
	p := Payment{
		IntentID: intent.ID, PurchaseID: intent.Metadata["purchaseId"],
		Amount: intent.Amount, Received: intent.AmountReceived,
		Currency: string(intent.Currency), Livemode: intent.Livemode,
	}
	p.Progress, p.Reason = intentProgress(intent)
	if p.Progress != Paid {
		return p, nil
	}
	if charge := intent.LatestCharge; charge != nil {
		p.Refunded, p.Card = charge.AmountRefunded, cardOf(charge)
	}
	p.Kept = CardOf(intent.PaymentMethod)
	p.Disputed, err = s.disputed(ctx, id)
	return p, err
}

// cardOf is the fingerprint of the card of a charge, empty where there is none.
func cardOf(charge *stripe.Charge) string {
	if details := charge.PaymentMethodDetails; details != nil && details.Card != nil {
		return details.Card.Fingerprint
	}
	return ""
}

func intentProgress(intent *stripe.PaymentIntent) (Progress, string) {
	switch intent.Status {
	case stripe.PaymentIntentStatusSucceeded:
		return Paid, ""
	case stripe.PaymentIntentStatusProcessing:
		return Processing, ""
	case stripe.PaymentIntentStatusCanceled:
		return Over, "canceled"
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		if intent.LastPaymentError != nil {
			return Declined, failure(intent.LastPaymentError)
		}
	}
	return Open, ""
}

// failure is why a payment was refused, as it is kept with the purchase.
func failure(e *stripe.Error) string {
	switch {
	case e.Msg != "":
		return secrets.ReplaceAllString(e.Msg, "…")
	case e.Code != "":
		return string(e.Code)
	}
	return "payment failed"
}

// SessionPayment asks for a checkout session and, where it made one, for its
// intent, as IntentPayment does.
func (s *Client) SessionPayment(ctx context.Context, id string, expand ...string) (Payment, error) {
	bound, cancel := WithTimeout(ctx)
	defer cancel()
	session, err := s.V1CheckoutSessions.Retrieve(bound, id, nil)
	if Missing(err) {
		return Payment{}, nil
	}
	if err != nil {
		return Payment{}, fmt.Errorf("fetch checkout session %s: %w", id, err)
	}
	var p Payment
	if session.PaymentIntent != nil {
		if p, err = s.IntentPayment(ctx, session.PaymentIntent.ID, expand...); err != nil {
			return p, err
		}
	}
	p.SessionID = session.ID
	if p.PurchaseID == "" {
		p.PurchaseID = session.Metadata["purchaseId"]
	}
	if session.Status == stripe.CheckoutSessionStatusExpired && (p.Progress == Open || p.Progress == Declined) {
		p.Progress, p.Reason = Over, "expired"
	}
	return p, nil
}
