package billing

import (
	"errors"

	"mana.how/edge/creditcore"
)

// Errors of this package. The texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	ErrNotConfigured    = errors.New("Stripe is not configured")
	ErrPackageNotFound  = errors.New("Package not found or inactive")
	ErrPurchaseNotFound = errors.New("Purchase not found")
	ErrUserNotFound     = errors.New("User not found")
	// ErrCustomer, ErrIntent and ErrCheckout mean that Stripe could not be
	// asked. A refusal by Stripe is a [*PaymentError].
	ErrCustomer = errors.New("Failed to create payment customer")
	ErrIntent   = errors.New("Failed to create payment intent")
	ErrCheckout = errors.New("Failed to create checkout session")

	// ErrSignature covers every webhook that is not provably Stripe's.
	ErrSignature = errors.New("Invalid webhook signature")
	// ErrLivemode means a well-signed event of the mode we do not work in.
	ErrLivemode = errors.New("Webhook event of the wrong mode")
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

var (
	// errStale means that a row moved between being read and the transaction:
	// the effect must be made anew.
	errStale = errors.New("the row changed since Stripe was asked")
	// errMismatch means a payment that is not the one our row asks for.
	errMismatch = errors.New("the payment does not fit the purchase")
	// errUnusable means a signed event that makes no sense.
	errUnusable = errors.New("the event is not usable")
	// errUnknownCustomer means that no user of ours is this customer.
	errUnknownCustomer = errors.New("not a customer of ours")
)

// permanent reports whether trying the same effect again cannot help: the
// payment is another one, the account is gone, or the amount is beyond what an
// account holds.
func permanent(err error) bool {
	return errors.Is(err, errMismatch) || errors.Is(err, errUnusable) || errors.Is(err, creditcore.ErrAccountNotFound) || errors.Is(err, creditcore.ErrAmount) ||
		errors.Is(err, creditcore.ErrInvalid)
}
