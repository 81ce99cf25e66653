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
//   - A new table enables and forces row-level security, gives mana_system a
//     policy, and grants what is needed by name: PUBLIC has nothing.
//   - FORCE binds the owner too: statements that read or change existing rows
//     stand between SET LOCAL ROLE mana_system and SET LOCAL ROLE mana_owner.
//     Foreign keys are exempt, so cascades reach every row.
package migrations
