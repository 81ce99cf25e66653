// Package outbox delivers what is to leave after the transaction of its cause:
// mails, and calls of other services.
//
// [Box.Put] writes a message in the transaction of the cause, so that there is
// one if and only if that commits. [Box.Run] delivers, on every edge: a worker
// leases a message ([FOR UPDATE SKIP LOCKED]), hands it to the [Deliver] of its
// channel outside of any transaction, and writes down what became of it. The
// lease outlives the time that a delivery may take. A message is therefore
// delivered once, and once more where an edge dies, or loses the database for
// longer than the lease, between a delivery and its record.
//
// What fails is tried again with growing pauses for three days, then it is
// dead: kept for [Box.Dead] and [Box.Retry]. What can never succeed
// ([Permanent]) is dead at once.
//
// A message may stand in a queue ([Message.Queue]): it waits until those before it are
// sent or dead. Channels of receivers that come and go are a [Family].
//
// Bodies may hold tokens. They lie sealed, each bound to the id of its message,
// and are emptied when the message was sent.
//
// [FOR UPDATE SKIP LOCKED]: https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE
package outbox
