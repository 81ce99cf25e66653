package stripeapi

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/stripe/stripe-go/v85"
)

// Errors of what needs Stripe. The texts are part of the wire contract; test
// with [errors.Is], never by text.
var (
	ErrNotConfigured = errors.New("Stripe is not configured")
	ErrUserNotFound  = errors.New("User not found")
	// ErrCustomer and ErrCheckout mean that Stripe could not be asked. A refusal
	// by Stripe is a [*PaymentError].
	ErrCustomer = errors.New("Failed to create payment customer")
	ErrCheckout = errors.New("Failed to create checkout session")
	// ErrUnknownCustomer means that no user of ours is this customer.
	ErrUnknownCustomer = errors.New("not a customer of ours")
)

// PaymentError is a refusal by Stripe. Text may be shown to clients.
type PaymentError struct {
	Text string
	Err  error
}

func (e *PaymentError) Error() string { return "Payment service error: " + e.Text }
func (e *PaymentError) Unwrap() error { return e.Err }

// ReturnURLError names a return address that is not allowed.
type ReturnURLError struct {
	// Field is the wire name of the address: successUrl, cancelUrl, returnUrl.
	Field string
}

func (e *ReturnURLError) Error() string { return e.Field + " is not a trusted origin" }

// PublicError words a failed question to Stripe: a refusal becomes a
// [*PaymentError], anything else the sentinel.
func PublicError(err, sentinel error) error {
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

// Decided reports whether Stripe refused for good: the same would be refused
// again.
func Decided(err error) bool {
	var answer *stripe.Error
	return errors.As(err, &answer) && answer.HTTPStatusCode < 429
}

// Missing reports whether Stripe knows no such object.
func Missing(err error) bool {
	var answer *stripe.Error
	return errors.As(err, &answer) && answer.HTTPStatusCode == 404
}
