// Package argonpool is argon2id (RFC 9106) in memory that is used again.
//
// golang.org/x/crypto/argon2 allocates what it fills, 19 MiB for a password, and
// leaves it to the garbage collector. Zeroing that, taking its pages from the
// kernel and giving them back costs a process that only signs users in a sixth
// of its time. The memory cannot be handed in, so this package links to the
// function of x/crypto that fills it and does the rest, sections 3.2 and 3.3,
// itself. Should that function ever be another than it was, the library as a
// whole is used instead.
package argonpool
