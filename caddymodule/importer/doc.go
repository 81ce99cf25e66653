// Package importer carries the accounts of the replaced service over: users with
// their passwords, live sessions, signing keys, credits, gifts, purchases and
// subscriptions, organisations, API keys, Matrix links and OpenID clients.
//
// The source is read in one read-only snapshot and never written. It goes table by
// table, in batches that each commit what they carried over together with a digest of
// the source's rows (table mana.imported). So an import that was stopped goes on where
// it was, and a later one carries over what changed at the source meanwhile, unless it
// was changed here too: what was changed here wins.
//
//	table    rows that are carried over one by one: users, sessions, keys, …
//	account  the balance and ledger of a user, as one unit
//	gift     a gift with its redemptions, as one unit
//
// What does not fit the stricter rules of this database is mended where that loses
// nothing, else refused, and told with its id and the reason either way.
//
// It is larger than others because each table of the replaced service is a file of its own,
// and all share one source, one report and one transaction.
package importer
