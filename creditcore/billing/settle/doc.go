// Package settle moves our rows and the ledger to what Stripe says, once.
//
// A handler asks Stripe and makes an [Effect]; the effect runs in a transaction
// that asks nobody outside. Where a row moved since it was read ([ErrStale])
// both are done anew ([ApplyWithRetry]). [Events] writes the id of an event in
// the transaction of its effect, so that a delivery that is repeated changes
// nothing.
package settle
