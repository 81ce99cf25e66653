// Package dbscope runs units of work in a named scope: as mana_system, or as
// mana_user on behalf of one user, whose rows alone PostgreSQL then shows (row
// level security, see package migrations).
//
// Role and user are set with transaction-local set_config in the same round
// trip as the work itself and end with its transaction. That holds through
// PgBouncer in transaction mode, where a connection serves someone else right
// afterwards. A pool behind PgBouncer before 1.21 needs another exec mode than
// pgx's default, such as [pgx.QueryExecModeCacheDescribe].
//
// Sessions hold the settings that this program works with ([Prepare]): READ
// COMMITTED, ISO dates in UTC, limits of its own. A unit of work that conflicts
// with others is run again as long as its context lasts.
//
// A scope guards against a forgotten or wrong WHERE clause, not against foreign
// SQL: whoever can run statements of their own can take on another role.
package dbscope
