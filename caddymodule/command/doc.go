// Package command is the command group `mana-edge mana`: schema, users, keys,
// credits, gifts, the audit log.
//
// It is larger than others because each verb is a file of its own beside the flags and the
// connection that all of them share.
package command
