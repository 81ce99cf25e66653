package authcore

import (
	"mana.how/edge/internal/dbscope"
)

func system() dbscope.Scope { return dbscope.System() }
