package stripeapi

import (
	"testing"

	"github.com/stripe/stripe-go/v85"
)

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
