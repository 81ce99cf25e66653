package dbscope

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrScope reports a scope that PostgreSQL cannot take on: the zero Scope, or
// a user id or role that is not UTF-8 or holds a NUL. Nothing was sent.
var ErrScope = errors.New("invalid database scope")

// Scope says on whose behalf a unit of work runs. The zero value is refused.
type Scope struct{ role, userID, userRole string }

// System is the scope of sign-in, webhooks and jobs: every row of every table.
func System() Scope { return Scope{role: "mana_system"} }

// User is the scope of the user id, any text; role is their platform role, of
// which "admin" sees more. An empty id sees nothing.
func User(id, role string) Scope { return Scope{role: "mana_user", userID: id, userRole: role} }

func (s Scope) check() error {
	if s.role == "" {
		return ErrScope
	}
	for _, v := range []string{s.userID, s.userRole} {
		if strings.IndexByte(v, 0) >= 0 || !utf8.ValidString(v) {
			return ErrScope
		}
	}
	return nil
}

// set takes three arguments: role, user id, role of the user.
const set = `SELECT set_config('role', $1, true), set_config('mana.user_id', $2, true), set_config('mana.role', $3, true)`

// begin is the prelude and set after BEGIN, in the simple protocol, which has
// no arguments.
func (s Scope) begin(prelude string) string {
	begin := beginExplicitly + "; "
	if prelude == ownSession {
		begin = "BEGIN ISOLATION LEVEL READ COMMITTED; " // and as writable as the server is
	} else {
		begin += prelude + "; "
	}
	return begin + "SELECT set_config('role', " + literal(s.role) +
		", true), set_config('mana.user_id', " + literal(s.userID) +
		", true), set_config('mana.role', " + literal(s.userRole) + ", true)"
}

var escape = strings.NewReplacer(`'`, `''`, `\`, `\\`)

// literal quotes v, which passed check, as an escape string: its meaning does
// not depend on standard_conforming_strings.
func literal(v string) string { return "E'" + escape.Replace(v) + "'" }
