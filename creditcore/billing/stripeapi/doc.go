// Package stripeapi asks Stripe: the client with its timeouts and quiet
// backend, customers and whom of our users they are, what became of a payment,
// and what of a refusal a client may read.
//
// No question to Stripe is asked within a transaction. Keys of Stripe and client
// secrets never reach a client: texts of Stripe are stripped of them.
package stripeapi
