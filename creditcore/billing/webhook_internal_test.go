package billing

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
)

func event(object string) stripe.Event {
	return stripe.Event{ID: "evt_1", Data: &stripe.EventData{Raw: json.RawMessage(object)}}
}

func TestEventObject(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]eventObject{
		`{"id":"pi_1","object":"payment_intent","metadata":{"purchaseId":"p"}}`: {ID: "pi_1", Object: "payment_intent", Metadata: struct {
			PurchaseID string `json:"purchaseId"`
		}{"p"}},
		`{"id":"re_1","payment_intent":"pi_1","metadata":null}`: {ID: "re_1", PaymentIntent: "pi_1"},
		`{"id":"re_1","payment_intent":{"id":"pi_1","a":[]}}`:   {ID: "re_1", PaymentIntent: "pi_1"},
		`{"payment_intent":null}`:                               {},
	} {
		got, err := objectOf(event(object))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", object, err, diff)
		}
	}
	for _, object := range []string{`[]`, `1`, `{"payment_intent":1}`, `{"payment_intent":{"id":1}}`, `{"id":"\u0000"}`, `{"metadata":{"purchaseId":"\u0000"}}`} {
		if _, err := objectOf(event(object)); !permanent(err) {
			t.Errorf("%s: %v", object, err)
		}
	}
}

// FuzzEventObject reads objects of signed events, which still may be anything.
func FuzzEventObject(f *testing.F) {
	f.Add(`{"id":"pi_1","object":"payment_intent","payment_intent":{"id":"x"},"metadata":{"purchaseId":"p"}}`)
	f.Add(`{"payment_intent":""}`)
	f.Fuzz(func(t *testing.T, object string) {
		o, err := objectOf(event(object))
		if err == nil && (!storable(o.ID) || !storable(string(o.PaymentIntent)) || !storable(o.Metadata.PurchaseID)) {
			t.Errorf("%q: %+v", object, o)
		}
	})
}

func TestReversedCredits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		credits            creditcore.Amount
		reversed, received int64
		want               creditcore.Amount
	}{
		{creditcore.Credits(100), 0, 100, 0},
		{creditcore.Credits(100), 50, 100, creditcore.Credits(50)},
		{creditcore.Credits(1000), 500, 999, creditcore.Credits(500)},
		{creditcore.Credits(100), 1, 999, 0},
		{creditcore.Credits(100), 998, 999, creditcore.Credits(99)},
		{creditcore.Credits(100), 999, 999, creditcore.Credits(100)},
		{creditcore.Credits(100), 1000, 999, creditcore.Credits(100)},
		{creditcore.Credit / 2, 50, 100, 0},
		{creditcore.Credit / 2, 100, 100, creditcore.Credit / 2},
		{creditcore.MaxAmount, 99_999_998, 99_999_999, creditcore.Credits(999_999_989)},
	} {
		if got := reversedCredits(c.credits, c.reversed, c.received); got != c.want {
			t.Errorf("%s credits, %d of %d cents: %s, want %s", c.credits, c.reversed, c.received, got, c.want)
		}
	}
}

func TestPublicText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]stripe.Error{
		"not authorised":                        {HTTPStatusCode: 401, Msg: "Invalid API Key provided: sk_test_****1234"},
		"too many requests, please retry":       {HTTPStatusCode: 429, Msg: "rate"},
		"temporarily unavailable, please retry": {HTTPStatusCode: 500, Msg: "stack trace"},
		"refused":                               {HTTPStatusCode: 400},
		"Amount must be at least 50 cents":      {HTTPStatusCode: 400, Msg: "Amount must be at least 50 cents"},
		"Bad key … and …, and …":                {HTTPStatusCode: 400, Msg: "Bad key sk_live_abc*** and pi_12_secret_34, and whsec_5"},
	} {
		if got := publicText(&e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
