package billing

import (
	"context"
	"fmt"

	"github.com/stripe/stripe-go/v85"
)

// progress is how far a payment came.
type progress int

const (
	open       progress = iota // nothing happened that counts
	processing                 // a bank is asked, for days where SEPA
	declined                   // the last try failed, another may follow
	over                       // canceled or expired
	paid
)

// payment is what Stripe says of a purchase's payment now.
type payment struct {
	progress progress
	// reason tells why the payment failed.
	reason string
	// intentID and sessionID are empty where Stripe has none.
	intentID, sessionID string
	// purchaseID is what the intent, or the session that made it, says it is for.
	purchaseID string

	amount, received int64 // cents
	currency         string
	livemode         bool
	// refunded and disputed are cents that went back, or may.
	refunded, disputed int64
}

// reversed is how much of what was received does not stay, in cents.
func (p payment) reversed() int64 { return min(p.received, p.refunded+p.disputed) }

// IntentPayment asks for an intent. One that Stripe does not know is open.
func (s *Client) IntentPayment(ctx context.Context, id string) (payment, error) {
	ctx, cancel := WithTimeout(ctx)
	defer cancel()
	intent, err := s.V1PaymentIntents.Retrieve(ctx, id, &stripe.PaymentIntentRetrieveParams{
		Expand: []*string{stripe.String("latest_charge")},
	})
	if Missing(err) {
		return payment{}, nil
	}
	if err != nil {
		return payment{}, fmt.Errorf("fetch payment intent %s: %w", id, err)
	}
	p := payment{
		intentID: intent.ID, purchaseID: intent.Metadata["purchaseId"],
		amount: intent.Amount, received: intent.AmountReceived,
		currency: string(intent.Currency), livemode: intent.Livemode,
	}
	p.progress, p.reason = intentProgress(intent)
	if p.progress != paid {
		return p, nil
	}
	if intent.LatestCharge != nil {
		p.refunded = intent.LatestCharge.AmountRefunded
	}
	p.disputed, err = s.disputed(ctx, id)
	return p, err
}

func intentProgress(intent *stripe.PaymentIntent) (progress, string) {
	switch intent.Status {
	case stripe.PaymentIntentStatusSucceeded:
		return paid, ""
	case stripe.PaymentIntentStatusProcessing:
		return processing, ""
	case stripe.PaymentIntentStatusCanceled:
		return over, "canceled"
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		if intent.LastPaymentError != nil {
			return declined, failure(intent.LastPaymentError)
		}
	}
	return open, ""
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
// intent.
func (s *Client) SessionPayment(ctx context.Context, id string) (payment, error) {
	bound, cancel := WithTimeout(ctx)
	defer cancel()
	session, err := s.V1CheckoutSessions.Retrieve(bound, id, nil)
	if Missing(err) {
		return payment{}, nil
	}
	if err != nil {
		return payment{}, fmt.Errorf("fetch checkout session %s: %w", id, err)
	}
	var p payment
	if session.PaymentIntent != nil {
		if p, err = s.IntentPayment(ctx, session.PaymentIntent.ID); err != nil {
			return p, err
		}
	}
	p.sessionID = session.ID
	if p.purchaseID == "" {
		p.purchaseID = session.Metadata["purchaseId"]
	}
	if session.Status == stripe.CheckoutSessionStatusExpired && (p.progress == open || p.progress == declined) {
		p.progress, p.reason = over, "expired"
	}
	return p, nil
}
