package settle

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stripe/stripe-go/v85"
)

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

// EventObject is what events tell of the object they are about.
type EventObject struct {
	ID            string `json:"id"`
	Object        string `json:"object"`
	Mode          string `json:"mode"` // of a checkout session
	PaymentIntent ref    `json:"payment_intent"`
	Metadata      struct {
		PurchaseID string `json:"purchaseId"`
	} `json:"metadata"`
}

// ObjectOf reads the object of an event. It fails with [ErrUnusable].
func ObjectOf(event stripe.Event) (EventObject, error) {
	var o EventObject
	if err := json.Unmarshal(event.Data.Raw, &o); err != nil {
		return o, fmt.Errorf("%w: object of %s: %w", ErrUnusable, event.ID, err)
	}
	for _, text := range []string{o.ID, string(o.PaymentIntent), o.Metadata.PurchaseID} {
		if !Storable(text) {
			return o, fmt.Errorf("%w: object of %s", ErrUnusable, event.ID)
		}
	}
	return o, nil
}

// Storable reports whether PostgreSQL takes a text that JSON could hold.
func Storable(text string) bool { return !strings.ContainsRune(text, 0) }
