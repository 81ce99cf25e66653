// Package proofofwork asks clients for work before they may cause some: a number
// that makes a SHA-256, in the form of ALTCHA (version 1), so that its widget and
// libraries solve it. A challenge is signed and leaves nothing behind until it is
// solved. Who runs no script waits instead: a ticket is good some seconds after it
// was given, to the network it was given to.
//
// # Threat model
//
// Everything in a solution comes from an attacker. Only what this program writes
// is read: one algorithm, one form of the salt, a number in decimal digits. The
// salt ends in a delimiter, so that no digit of the number can be moved into the
// end of the challenge (CVE-2025-68113). Whether a solution or a ticket was taken
// before is for the caller to keep, by its [Taken]: for all edges, and until it
// ends. Work is cheap for who has many machines; it takes the profit out of filling
// mailboxes, and is no proof of a person.
package proofofwork
