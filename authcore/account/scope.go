package account

import (
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// ScopeOf is what the caller may see of the database.
func ScopeOf(c principal.Caller) dbscope.Scope { return dbscope.User(c.UserID, string(c.Role)) }
