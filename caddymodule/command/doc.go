// Package command is the command group `mana-edge mana`: schema, users, keys,
// credits, gifts, the audit log.
package command
