package authcore

import (
	"context"

	"mana.how/edge/authcore/account"
	"mana.how/edge/internal/dbscope"
)

// UsersByID reads accounts that may act, for a back end. Whoever is not there, is
// disabled or deleted is left out; the order is that of the ids.
func (s *Service) UsersByID(ctx context.Context, ids []string) ([]User, error) {
	return dbscope.List[User](ctx, s.db, system(),
		`SELECT `+account.Columns+`
		 FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, place)
		 JOIN auth.users AS u ON u.id = asked.id
		 WHERE `+account.Usable+`
		 ORDER BY asked.place`, ids)
}
