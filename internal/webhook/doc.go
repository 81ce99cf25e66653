// Package webhook tells endpoints of others what happens here, by the [Standard
// Webhooks] specification.
//
//	cause ── trigger ──▶ mana.webhook_events      in the transaction of the cause
//	      ── relay ────▶ mana.outbox              a message for each endpoint that wants the event
//	      ── outbox ───▶ POST, signed             tried again for three days
//
// Triggers of the tables note what happens ([Catalog] lists it), so that no way of
// writing to them is left out, and nothing is noted while there is no endpoint. One edge
// at a time relays. Every edge delivers: [outbox.Box] leases the messages, each endpoint
// a channel and each subject a queue of its own. An event therefore comes at least once,
// under one id, and after those of its subject that were noted before it, unless one of
// those was given up.
//
// # Threat model
//
// The address of an endpoint is what somebody typed: requests go to public addresses
// alone and to networks that the configuration lists, which is seen on connecting, follow
// no redirect, and end after [publicnet.Timeout]. Of an answer a few hundred bytes are
// kept, for the eyes of admins. What is sent has ids and numbers; who somebody is has to
// be asked for. Secrets lie sealed, and are shown once.
//
// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
package webhook
