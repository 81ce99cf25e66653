// Package migrations brings a PostgreSQL database (15 or newer) to the schema
// of this binary: forward-only SQL files, embedded, each applied in its own
// transaction under an advisory lock.
//
// # Roles
//
// Three roles, shared by all databases of a cluster, none of which may log in
// or bypass row-level security:
//
//	mana_owner   owns every schema, table and function; taken on only while migrating
//	mana_user    acts for one user, named by the setting mana.user_id
//	mana_system  sign-in, webhooks, jobs: every row of every table
//
// The login role is a member of all three and takes one of them on for a
// transaction (see internal/dbscope). It sees no row itself: each policy also
// tests current_user, so that inherited membership gives nothing. Where the
// login role may not create or grant the roles, [Apply] returns a [*RoleError].
//
// # Writing a migration
//
//   - Add NNNN_name.sql with the next number; never change a released file. It
//     runs as mana_owner, without a COMMIT of its own.
//
//   - A new table enables and forces row-level security, gives mana_system a
//     policy, and grants what is needed by name: PUBLIC has nothing.
//
//   - Text that an index holds, and every id, is COLLATE "C": the order of other
//     collations changes with the libraries of the server, and breaks indexes.
//
//   - FORCE binds the owner too: statements that read or change existing rows
//     stand between SET LOCAL ROLE mana_system and SET LOCAL ROLE mana_owner.
//     Foreign keys are exempt, so cascades reach every row.
//
//   - An edge of the version before goes on while this one runs beside it, on the
//     new schema. So a migration adds: tables, columns that may be null or have a
//     default, indexes. What nobody uses any more goes with the version after the
//     one that stopped using it, by a statement under a line that begins with
//     "-- contract:" and says since when.
//
// # Functions
//
// What the ledger decides in the database stands in functions/, a file a
// function. The functions of one binary are a set, in a schema of its own that is
// named after what they say; its statements name that schema. So their arguments
// and results may change freely, and edges of two versions run beside each other.
// An edge says once an hour that its set is used; a set that nobody has used for a
// week is dropped when another is made.
//
// Every function wants the account's row of credits.balances
// locked, or locks it. That row is the lock of all that belongs to the
// account: lots, holds and ledger rows. Functions that a trigger, a policy or a
// default refers to, and what those call, stay in the migrations.
package migrations
