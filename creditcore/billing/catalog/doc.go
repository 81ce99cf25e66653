// Package catalog holds what is for sale: packages of credits, bought once, and
// plans that can be subscribed to, with their prices at Stripe.
//
// Both are rows that the configuration seeds and an admin may change. A plan is
// found by the id of a price, also of one that it is no longer sold at, so that
// older subscriptions go on.
package catalog
