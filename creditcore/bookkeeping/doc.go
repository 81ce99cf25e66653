// Package bookkeeping writes what the ledger says for an accountant, as CSV (RFC 4180)
// with a line of names first. Amounts of credits have up to three decimals, money is in
// euros with five, instants are RFC 3339 in UTC. What is written is read as it goes: a
// ledger may be long.
package bookkeeping
