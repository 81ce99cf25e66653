// Package gift makes codes that carry credits from one user to others.
//
// A gift's credits leave its creator when it is made: one ledger row, the
// reservation, which counts as spent. Each portion that is claimed arrives at a
// redeemer as a grant. What is left when a gift is cancelled or expires goes
// back as a refund of the reservation, so that what was spent falls again.
//
// # One gift
//
//	active ──last portion claimed──▶ depleted
//	   ├────cancelled, some claimed──▶ cancelled   ┐
//	   ├────cancelled, none claimed──▶ refunded    ├ the rest goes back
//	   └────its time is over─────────▶ expired     ┘
//
// A claim is one conditional UPDATE of the gift's row; that each portion goes
// once, and once to a user unless the gift is split, are unique constraints.
//
// # Locks
//
// A transaction locks at most one gift and one account, the gift first: to
// claim, the redeemer's; to cancel or expire, the creator's. Making a gift
// locks the creator's account and then adds a row that nobody else can have
// locked. So no two of them wait for each other. Nothing slow happens under a
// lock: answers to riddles are hashed before.
//
// # Threat model
//
// A code is a bearer secret of 30 random bits: whoever asks for codes over and
// over must be slowed down by the caller, who sees the address. A riddle's
// answer has little entropy: it is kept as a slow salted hash, wrong answers
// are counted under the lock of the gift, and once there are too many even a
// right one is refused. An e-mail address or a Matrix id a gift is meant for
// must be proven by the caller; what a client only claims counts for nothing.
//
// # Size
//
// A little more than other packages: making, redeeming, cancelling and expiring
// lock the same rows in the same order.
package gift
