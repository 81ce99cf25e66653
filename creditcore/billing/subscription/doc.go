// Package subscription sells plans: the checkout in which a subscription begins,
// changes of it, Stripe's billing portal, and the end of all of it for users who
// are gone.
//
// A subscription's row is a copy of Stripe's object. Credits come from its paid
// invoices, see package invoice.
package subscription
