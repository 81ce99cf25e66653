package purchase

import (
	"context"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/settle"
)

// paymentReference is what an event tells of the purchase it is about: where to
// look, not what happened.
type paymentReference struct {
	purchaseID string
	intentID   string
	sessionID  string
	// bare is set where the event's object carries no metadata of the intent.
	bare bool
}

// SessionEvent handles what happens to a checkout session.
func (s *Service) SessionEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil {
		return nil, err
	}
	return s.effect(ctx, paymentReference{purchaseID: o.Metadata.PurchaseID, intentID: string(o.PaymentIntent), sessionID: o.ID})
}

// IntentEvent handles what happens to a payment intent.
func (s *Service) IntentEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil {
		return nil, err
	}
	return s.effect(ctx, paymentReference{purchaseID: o.Metadata.PurchaseID, intentID: o.ID})
}

// ChargeEvent handles what happens to a charge, a refund or a dispute.
func (s *Service) ChargeEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil || o.PaymentIntent == "" {
		return nil, err
	}
	return s.effect(ctx, paymentReference{
		purchaseID: o.Metadata.PurchaseID, intentID: string(o.PaymentIntent), bare: o.Object != "charge",
	})
}
