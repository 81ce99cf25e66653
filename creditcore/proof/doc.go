// Package proof shows that the ledger was not changed afterwards, also by those who
// may change everything in the database.
//
// # Chain
//
// Each row of credits.transactions has a hash over its columns and the hash of the
// row of its account before it ([Row.HashAfter]; the functions of the database that
// write rows make it). Who changes a row must change every later one of the account.
//
// # Roots
//
// Once a day the last hashes of all accounts become the leaves of Merkle trees (RFC
// 9162, section 2.1), 256 of them by the SHA-256 of the account's name, and the roots
// of those the leaves of one more, whose root is signed together with the one before
// it. The key is sealed with the encryption key, which the database does not have. Who
// changes a row that a root covers cannot make that root again, and whoever has kept a
// published root or an export can show it.
//
// # Threat model
//
// The attacker is who owns the database, or a backup of it that is played back, but
// not the encryption key of the edges. Rows younger than the last root are theirs to
// rewrite with all that follows; so are those from before there were hashes, of which
// the chain has the last of each account only. Who has the encryption key can sign
// another root: against them help copies of published roots alone.
package proof
