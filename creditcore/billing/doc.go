// Package billing sells credits: packages, purchases and subscriptions, paid
// through Stripe.
//
// # Truth
//
// Stripe knows what was paid; the ledger of [mana.how/edge/creditcore] knows
// what was granted. This package moves the second towards the first. An event
// of Stripe is a hint that an object changed, no more: the object is fetched
// again, the state our rows and the ledger ought to be in is computed from it,
// and the difference is applied in one transaction together with the event's
// id. Duplicates, late and permuted events therefore end in the same state,
// and so does the reconcile job, which goes the same way without an event.
//
//	event → signature → livemode → effect (fetches, no transaction)
//	      → one transaction: event id, row revision, ledger, row
//
// Every row carries a revision. It is read before the object is fetched and
// compared under the row's lock, so that an effect made from an older copy is
// made anew.
//
// # Threats
//
// Whoever can post to the webhook but lacks its secret gets nothing: the
// signature covers the raw bytes and a time within five minutes, before and
// after. A signed event of the other mode (test or live) is refused. What was
// paid (amount, currency, mode) is compared with our own row, never with the
// event. Return addresses are checked by the admin's list, since a page of
// Stripe that leads elsewhere is a lure. Texts of Stripe reach clients without
// anything that looks like a key.
package billing
