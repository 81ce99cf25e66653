package guest

import "mana.how/edge/migrations/functions"

var (
	takeSQL     = `SELECT t.refusal, t.credits_left FROM ` + functions.Schema + `.guest_take($1::date, $2, $3, $4, $5, $6, $7, false) AS t`
	giveBackSQL = `SELECT ` + functions.Schema + `.guest_give_back($1::date, $2, $3, $4, $5, $6, $7) AS credits_left`
	leftSQL     = `SELECT l.credits_left FROM ` + functions.Schema + `.guest_left($1::date, $2, $3, $4, $5, $6) AS l`
	mergeSQL    = `SELECT ` + functions.Schema + `.guest_merge($1::date, $2, $3) AS amount`
)
