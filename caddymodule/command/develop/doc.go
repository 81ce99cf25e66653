// Package develop is the command `mana-edge dev`: a family for whoever builds an
// app behind it. One process has the database, the auth site, the gate before the
// app, users with known passwords, a mailbox in place of a mail server and a Stripe
// account without money, and time passes when it is told to. All of it listens on loopback addresses, and with --once it lives as long as one
// command does.
// It is larger than other packages, for it plays what stands around an edge, the
// mailbox and the pages of Stripe, which nothing else does.
//
// What makes it unfit for others, fixed codes above all, is not in its config,
// which is an ordinary one: see [app.Develop].
package develop
