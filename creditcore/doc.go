// Package creditcore is the ledger: who has how many credits, why, and what
// they were spent on.
//
// Every change of a balance is one row of credits.transactions, which is never
// changed or deleted; the rows of an account are numbered without gaps and add
// up to its balance. Credits arrive as lots, by [Service.Grant], and leave by
// [Service.Debit], or by [Service.Hold] and [Service.Settle] where the price is
// known only afterwards. [Service.Refund] takes a charge back, in part or whole.
//
// The account's row in credits.balances is the lock of everything that belongs
// to the account. Whoever needs several accounts in one transaction locks them
// in ascending order of their ids, by [Service.LockTx].
//
// # What the ledger promises
//
//   - The check for enough credits and the debit are one statement: concurrent
//     requests cannot spend the same credit.
//   - An idempotency key is one client's and stands for one request. The same
//     request gets the first answer, another one [ErrKeyReused]. What was
//     refused leaves no key behind. Keys of this program's own, such as that of
//     a purchase, have a namespace of their own.
//   - balance = total earned − total spent, at any time. Credits reserved by a
//     hold or a gift count as spent until they come back.
//   - A hold is charged at most once. The process that holds it prolongs it; one
//     that nobody resolves is given back when its time is over.
//   - A charge made before what it is for ([Debit].InFlight) is given back if its
//     process is gone before [Service.Begun].
//   - What is charged to a lease ([Service.DebitLeased]) was reserved before. A process
//     that is gone loses what it had not written, and the user nothing.
//   - An account that is busy, or locked by somebody else, does not make others
//     wait, and keeps at most one connection of a process busy.
//   - Lots are burnt by priority, then earliest expiry, then promotional before
//     paid, then oldest.
//
// [Service.Audit] checks all of it.
//
// It is larger than others because debits, holds, settlements and refunds are
// items of one batch and take effect in one transaction, and leases are recalled for
// them: a part of its own would need the innards of the batch. Gifts and sales stand outside.
package creditcore
