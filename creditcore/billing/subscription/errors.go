package subscription

import "errors"

// Errors of subscriptions. The texts are part of the wire contract; test with
// [errors.Is], never by text.
var (
	ErrNoBillingAccount   = errors.New("No billing account found. Please subscribe to a plan first.") //nolint:revive // of the contract
	ErrNoSubscription     = errors.New("No active subscription found")
	ErrNotCanceled        = errors.New("No canceled subscription found")
	ErrSubscribed         = errors.New("You already have a subscription. Manage it in the billing portal.") //nolint:revive // shown to users
	ErrPortal             = errors.New("Failed to create portal session")
	ErrNotPerSeat         = errors.New("The plan is not sold by the seat to you")
	ErrSubscriptionChange = errors.New("Failed to update subscription")
)
