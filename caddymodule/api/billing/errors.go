package billing

import (
	"errors"
	"net/http"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	purchasing "mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

// purchaseMappings word what billing refuses.
var purchaseMappings = []endpoint.Mapping{
	{Err: catalog.ErrPackageNotFound, Answer: &endpoint.Error{Status: 404, Code: "PACKAGE_NOT_FOUND", Message: "Package not found or inactive"}},
	{Err: purchasing.ErrNotFound, Answer: &endpoint.Error{Status: 404, Code: "PURCHASE_NOT_FOUND", Message: "Purchase not found"}},
	{Err: stripeapi.ErrUserNotFound, Answer: &endpoint.Error{Status: 404, Code: "USER_NOT_FOUND", Message: "User not found"}},
	{Err: stripeapi.ErrNotConfigured, Answer: &endpoint.Error{Status: 503, Code: "STRIPE_NOT_CONFIGURED", Message: "Stripe is not configured"}},
	{Err: stripeapi.ErrCustomer, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create payment customer"}},
	{Err: purchasing.ErrIntent, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create payment intent"}},
	{Err: stripeapi.ErrCheckout, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create checkout session"}},
}

// subscriptionMappings word what billing refuses. Without Stripe these routes
// answer 400, unlike those of purchases.
var subscriptionMappings = []endpoint.Mapping{
	{Err: stripeapi.ErrNotConfigured, Answer: &endpoint.Error{Status: 400, Code: "STRIPE_NOT_CONFIGURED", Message: "Stripe is not configured"}},
	{Err: catalog.ErrPlanNotFound, Answer: &endpoint.Error{Status: 404, Code: "PLAN_NOT_FOUND", Message: "Plan not found"}},
	{Err: catalog.ErrNoMonthlyPrice, Answer: &endpoint.Error{Status: 400, Code: "NO_PRICE", Message: "No Stripe price configured for month billing"}},
	{Err: catalog.ErrNoYearlyPrice, Answer: &endpoint.Error{Status: 400, Code: "NO_PRICE", Message: "No Stripe price configured for year billing"}},
	{Err: stripeapi.ErrUserNotFound, Answer: &endpoint.Error{Status: 404, Code: "USER_NOT_FOUND", Message: "User not found"}},
	{Err: subscribing.ErrNoBillingAccount, Answer: &endpoint.Error{Status: 400, Code: "NO_BILLING_ACCOUNT",
		Message: "No billing account found. Please subscribe to a plan first."}},
	{Err: subscribing.ErrNoSubscription, Answer: &endpoint.Error{Status: 404, Code: "SUBSCRIPTION_NOT_FOUND", Message: "No active subscription found"}},
	{Err: subscribing.ErrNotCanceled, Answer: &endpoint.Error{Status: 404, Code: "SUBSCRIPTION_NOT_FOUND", Message: "No canceled subscription found"}},
	{Err: subscribing.ErrNotPerSeat, Answer: &endpoint.Error{Status: 400, Code: "NOT_PER_SEAT", Message: "Seats are for organizations, of a plan that is sold by the seat"}},
	{Err: subscribing.ErrSubscribed, Answer: &endpoint.Error{Status: 409, Code: "ALREADY_SUBSCRIBED",
		Message: "You already have a subscription. Manage it in the billing portal."}},
	{Err: stripeapi.ErrCustomer, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create payment customer"}},
	{Err: stripeapi.ErrCheckout, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create checkout session"}},
	{Err: subscribing.ErrPortal, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to create portal session"}},
	{Err: subscribing.ErrSubscriptionChange, Answer: &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to update subscription"}},
}

// paymentError words the refusals that carry a text of their own.
func paymentError(err error, urls map[string]*string) error {
	var refused *stripeapi.PaymentError
	var address *stripeapi.ReturnURLError
	var open *purchasing.OpenPurchasesError
	switch {
	case errors.As(err, &open):
		return tooManyOpen(open.RetryAfter)
	case errors.As(err, &refused):
		return &endpoint.Error{Status: 503, Code: "PAYMENT_SERVICE_ERROR", Message: refused.Error()}
	case errors.As(err, &address):
		return endpoint.Invalid(returnText(address, urls[address.Field]))
	}
	return err
}

// tooManyOpen refuses a purchase beside others that nobody pays for.
func tooManyOpen(wait time.Duration) *endpoint.Error {
	return &endpoint.Error{Status: http.StatusTooManyRequests, Code: "TOO_MANY_OPEN_PURCHASES",
		Message: "Too many open purchases: rate limit exceeded, pay for one or try again later", RetryAfter: wait}
}

// subscriptionError words the refusals that carry a text of their own. A
// refusal by Stripe is a 500 here.
func subscriptionError(err error, urls map[string]*string) error {
	var refused *stripeapi.PaymentError
	var taken *subscribing.SeatsTakenError
	switch {
	case errors.As(err, &taken):
		return seatsTaken(taken.Error())
	case errors.As(err, &refused):
		return &endpoint.Error{Status: 500, Code: "PAYMENT_SERVICE_ERROR", Message: refused.Error()}
	}
	return paymentError(err, urls)
}

// seatsTaken refuses fewer seats than an organisation has members.
func seatsTaken(text string) *endpoint.Error {
	return &endpoint.Error{Status: http.StatusConflict, Code: "SEATS_TAKEN", Message: text}
}

// returnText says of an address that it is none, or that it is not trusted.
func returnText(err *stripeapi.ReturnURLError, sent *string) string {
	if sent == nil || !validate.IsURL(*sent, true) {
		return err.Field + " must be a URL address"
	}
	return err.Error()
}

// untrusted refuses the addresses of the fields, in order, that a payment may
// not lead back to. What was not sent is none.
func untrusted(payments *billing.Service, fields []string, urls map[string]*string) error {
	var texts []string
	for _, field := range fields {
		if sent := urls[field]; sent != nil && !payments.AllowsReturn(*sent) {
			texts = append(texts, returnText(&stripeapi.ReturnURLError{Field: field}, sent))
		}
	}
	if len(texts) > 0 {
		return endpoint.Invalid(texts...)
	}
	return nil
}
