// Package purchase sells packages of credits, paid once: by a payment that the
// client confirms, or on a page of Stripe.
//
// A purchase is a row at the terms of its moment. Its payment is always compared
// with that row (amount, currency, mode, id), never with an event; one that
// differs grants nothing. What is refunded or disputed is taken back from the
// ledger, and what of it is gone is a debt of the account. [Service.Reconcile]
// finds what no event told.
//
// It is larger than others because the ways to pay, by a client, on a page of Stripe or
// with a saved card, all end in the same row and its settlement.
package purchase
