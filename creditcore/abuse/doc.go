// Package abuse scores accounts by what the ledger shows of buying, spending and
// refunding, of gifts that go in circles, of trial credits that are gathered, and
// of cards that many accounts share; and holds the gifting of an account.
//
// # The score
//
// A survey looks at the last 90 days, once an hour on one edge. Each [Signal] that
// it finds of an account has points and what they rest on, in words that an admin
// can check; their sum is the score, 200 at most. What is normal among friends and
// in families has no points, see [Kind]. Purchases of organisations count for
// nobody: colleagues share a card, and none of them is a customer of their own.
//
// # The hold
//
// A score of the threshold or more holds the gifting of the account: it makes no
// gifts. Nothing else changes, neither balances nor gifts that were made. The hold
// ends by itself when the score is lower again: money came back, or the 90 days are
// over. An operator releases it before, with a reason, until the score is higher
// than it was then; or holds by hand, until an operator releases it.
//
// # Threat model
//
// Whoever is scored must not learn how: users read neither table, and are told of a
// hold and nothing else. What others can do to somebody never holds their gifting by
// itself: a signal that rests on others, such as a card that is used elsewhere, has
// fewer points than the default threshold. Who deletes the account leaves no
// card and no score behind; what they were given or bought stays in the ledger.
package abuse
