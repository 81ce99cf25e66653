package gift

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// Listed is a gift with the address of its creator today.
type Listed struct {
	Gift
	CreatorEmail string
}

// Query pages through the gifts of everybody, the newest first. An empty creator
// is anybody.
type Query struct {
	CreatorID string
	Before    keyset.Cursor
	Limit     int
}

const listedSQL = `SELECT ` + giftColumns + `, u.email AS creator_email
	FROM gifts.gift_codes AS g
	JOIN auth.users AS u ON u.id = g.creator_id`

// Page lists gifts as they are stored, for operators, and returns the cursor of the
// next page.
func (s *Service) Page(ctx context.Context, q Query) ([]Listed, keyset.Cursor, error) {
	var w keyset.Where
	if q.CreatorID != "" {
		w.And(`g.creator_id = ?`, q.CreatorID)
	}
	w.Before("g", q.Before)
	list, err := dbscope.List[Listed](ctx, s.db, system(),
		listedSQL+w.String()+keyset.Newest("g")+` LIMIT `+w.Arg(q.Limit+1), w.Args()...)
	list, next := keyset.Cut(list, q.Limit, func(g Listed) keyset.Cursor { return keyset.Cursor{At: g.CreatedAt, ID: g.ID} })
	return list, next, err
}

// Find is a gift by its id or code as it is stored, for operators. It fails with
// [ErrNotFound].
func (s *Service) Find(ctx context.Context, idOrCode string) (Listed, error) {
	code, _ := ParseCode(idOrCode)
	g, err := dbscope.One[Listed](ctx, s.db, system(),
		listedSQL+` WHERE g.id = $1 OR g.code = $2 ORDER BY g.id = $1 DESC LIMIT 1`, idOrCode, string(code))
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return g, err
}
