package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stripe/stripe-go/v85"
)

// trail is what an event tells of the purchase it is about: where to look, not
// what happened.
type trail struct {
	purchaseID string
	intentID   string
	sessionID  string
	// blind is set where the event's object carries no metadata of the intent.
	blind bool
}

// ref is a reference to an object: its id, or the object itself.
type ref string

// UnmarshalJSON reads either form; null is empty.
func (r *ref) UnmarshalJSON(raw []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	if len(raw) > 0 && raw[0] == '{' {
		err := json.Unmarshal(raw, &object)
		*r = ref(object.ID)
		return err
	}
	return json.Unmarshal(raw, (*string)(r))
}

type eventObject struct {
	ID            string `json:"id"`
	Object        string `json:"object"`
	PaymentIntent ref    `json:"payment_intent"`
	Metadata      struct {
		PurchaseID string `json:"purchaseId"`
	} `json:"metadata"`
}

func objectOf(event stripe.Event) (eventObject, error) {
	var o eventObject
	if err := json.Unmarshal(event.Data.Raw, &o); err != nil {
		return o, fmt.Errorf("%w: object of %s: %w", errUnusable, event.ID, err)
	}
	for _, text := range []string{o.ID, string(o.PaymentIntent), o.Metadata.PurchaseID} {
		if !storable(text) {
			return o, fmt.Errorf("%w: object of %s", errUnusable, event.ID)
		}
	}
	return o, nil
}

// storable reports whether PostgreSQL takes a text that JSON could hold.
func storable(text string) bool { return !strings.ContainsRune(text, 0) }

func (s *Service) sessionEffect(ctx context.Context, event stripe.Event) (effect, error) {
	o, err := objectOf(event)
	if err != nil {
		return nil, err
	}
	return s.purchaseEffect(ctx, trail{purchaseID: o.Metadata.PurchaseID, intentID: string(o.PaymentIntent), sessionID: o.ID})
}

func (s *Service) intentEffect(ctx context.Context, event stripe.Event) (effect, error) {
	o, err := objectOf(event)
	if err != nil {
		return nil, err
	}
	return s.purchaseEffect(ctx, trail{purchaseID: o.Metadata.PurchaseID, intentID: o.ID})
}

// chargeEffect is that of a charge, of a refund and of a dispute: of a
// purchase or of an invoice.
func (s *Service) chargeEffect(ctx context.Context, event stripe.Event) (effect, error) {
	o, err := objectOf(event)
	if err != nil || o.PaymentIntent == "" {
		return nil, err
	}
	apply, err := s.purchaseEffect(ctx, trail{
		purchaseID: o.Metadata.PurchaseID, intentID: string(o.PaymentIntent), blind: o.Object != "charge",
	})
	if err != nil || apply != nil {
		return apply, err
	}
	return s.invoiceChargeEffect(ctx, string(o.PaymentIntent))
}
