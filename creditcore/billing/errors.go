package billing

import "errors"

// Errors of the webhook. The texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	// ErrSignature covers every webhook that is not provably Stripe's.
	ErrSignature = errors.New("Invalid webhook signature")
	// ErrLivemode means a well-signed event of the mode we do not work in.
	ErrLivemode = errors.New("Webhook event of the wrong mode")
)
