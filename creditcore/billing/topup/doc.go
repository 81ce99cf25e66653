// Package topup buys credits by itself when an account runs low: a package, with a
// card that its owner has saved at Stripe for that.
//
// # One dip, one purchase
//
// The database decides when a balance is low, once a dip, under the lock of the
// account (credits.watch_balance). In the same transaction the dip gets a top-up,
// which has the id of its alert, unless one of the account is under way. The
// purchase has the same id, and its payment is stored before it is charged: whatever
// edge goes on with it after a failure, it is that payment, which succeeds once.
//
//	open ──order──▶ purchase written ──charge──▶ bought
//	 │ ▲                                  ├─ declined: again later, in the end off
//	 │ └─ cap, too many a day: later      └─ the bank asks: confirm ──owner──▶ bought
//	 └──▶ ended: the dip is over, or it was switched off        └─ 3 days ──▶ off
//
// # Threats
//
// Money is only taken within what the owner agreed to: the package at the price of
// then, a sum a month, a number a day, all counted under the account's lock, and what
// waited for its card by what they agree to when it is tried again. Whoever
// has a session alone switches nothing on and raises nothing: the routes ask for a
// recent proof. A card is taken from Stripe's word of its own session, or of the
// payment of a purchase that asked for it, for the customer of the account. A top-up that ends without a purchase switches itself off
// rather than try for ever.
package topup
