package settle

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"
)

func event(object string) stripe.Event {
	return stripe.Event{ID: "evt_1", Data: &stripe.EventData{Raw: json.RawMessage(object)}}
}

func TestEventObject(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]EventObject{
		`{"id":"pi_1","object":"payment_intent","metadata":{"purchaseId":"p"}}`: {ID: "pi_1", Object: "payment_intent", Metadata: struct {
			PurchaseID string `json:"purchaseId"`
		}{"p"}},
		`{"id":"re_1","payment_intent":"pi_1","metadata":null}`: {ID: "re_1", PaymentIntent: "pi_1"},
		`{"id":"re_1","payment_intent":{"id":"pi_1","a":[]}}`:   {ID: "re_1", PaymentIntent: "pi_1"},
		`{"payment_intent":null}`:                               {},
	} {
		got, err := ObjectOf(event(object))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", object, err, diff)
		}
	}
	for _, object := range []string{`[]`, `1`, `{"payment_intent":1}`, `{"payment_intent":{"id":1}}`, `{"id":"\u0000"}`, `{"metadata":{"purchaseId":"\u0000"}}`} {
		if _, err := ObjectOf(event(object)); !Permanent(err) {
			t.Errorf("%s: %v", object, err)
		}
	}
}

// FuzzEventObject reads objects of signed events, which still may be anything.
func FuzzEventObject(f *testing.F) {
	f.Add(`{"id":"pi_1","object":"payment_intent","payment_intent":{"id":"x"},"metadata":{"purchaseId":"p"}}`)
	f.Add(`{"payment_intent":""}`)
	f.Fuzz(func(t *testing.T, object string) {
		o, err := ObjectOf(event(object))
		if err == nil && (!Storable(o.ID) || !Storable(string(o.PaymentIntent)) || !Storable(o.Metadata.PurchaseID)) {
			t.Errorf("%q: %+v", object, o)
		}
	})
}
