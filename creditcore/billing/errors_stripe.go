package billing

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/stripe/stripe-go/v85"
)

// refused words a failed question to Stripe: a refusal becomes a
// [*PaymentError], anything else the sentinel.
func refused(err, sentinel error) error {
	var answer *stripe.Error
	if errors.As(err, &answer) {
		return &PaymentError{Text: publicText(answer), Err: err}
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// secrets are keys of Stripe, also masked ones as its texts quote them, and
// client secrets.
var secrets = regexp.MustCompile(`\b(?:sk|rk|pk|whsec)_[^\s'",;)]+|\b[a-z]+_[A-Za-z0-9]+_secret_[A-Za-z0-9]+`)

// publicText is what a client may read of a refusal: Stripe's own text where
// it is about the payment, and a general one where it is about us.
func publicText(answer *stripe.Error) string {
	switch {
	case answer.HTTPStatusCode == 401 || answer.HTTPStatusCode == 403:
		return "not authorised"
	case answer.HTTPStatusCode == 429:
		return "too many requests, please retry"
	case answer.HTTPStatusCode >= 500 || answer.Type == stripe.ErrorTypeAPI:
		return "temporarily unavailable, please retry"
	case answer.Msg == "":
		return "refused"
	}
	return secrets.ReplaceAllString(answer.Msg, "…")
}

// decided reports whether Stripe refused for good: the same would be refused
// again.
func decided(err error) bool {
	var answer *stripe.Error
	return errors.As(err, &answer) && answer.HTTPStatusCode < 429
}

// missing reports whether Stripe knows no such object.
func missing(err error) bool {
	var answer *stripe.Error
	return errors.As(err, &answer) && answer.HTTPStatusCode == 404
}
