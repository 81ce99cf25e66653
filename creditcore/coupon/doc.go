// Package coupon gives promotional credits: to who redeems a code that an admin
// made, and as a trial to every new account, once a person.
//
// # A person
//
// A person is the mailbox behind a verified address, see [Mailbox]: spellings of
// one address are one person. The tables hold an HMAC of it, which outlives the
// account; so does what is counted of the domain of an address. The keys are
// derived from a random secret in credits.secrets, which is sealed with the
// encryption key and sealed anew when that is rotated.
//
// # Once, and no more than there is
//
// A redemption is one transaction. It locks the count of the domain, then the
// account, and last the row of the coupon, which refuses to count one more than it
// may give. That a user and a person redeem a coupon once, and are given one trial,
// are unique constraints. The credits are lots of
// [creditcore.SourcePromotion], which no gift turns into paid ones and nothing
// pays out.
//
// A trial is promised in the transaction that makes the account, by the terms of
// then, and given once the address is proven: at once, or by [Service.Run] where
// that was interrupted.
//
// # Threat model
//
// A code is a bearer secret that many may know; whoever asks for codes over and
// over must be slowed down by the caller, who sees the address. Who reads the
// database learns neither codes nor who redeemed them after they left. Who owns a
// domain has as many addresses as they like, so what a domain may have is limited;
// that of a public mail provider is not, as its addresses are of many.
package coupon
