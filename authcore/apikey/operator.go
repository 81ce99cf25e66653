package apikey

import (
	"context"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// Listed is a key with the address of its user today.
type Listed struct {
	Key
	Email string
}

// Query pages through the keys of everybody, those revoked included, the newest
// first. Empty fields select all.
type Query struct {
	UserID, OrganizationID string
	Before                 keyset.Cursor
	Limit                  int
}

// Page lists keys, in the scope of the system, and returns the cursor of the next
// page.
func Page(ctx context.Context, db dbscope.DB, q Query) ([]Listed, keyset.Cursor, error) {
	sql, args := pageSQL(q)
	list, err := dbscope.List[Listed](ctx, db, dbscope.System(), sql, args...)
	list, next := keyset.Cut(list, q.Limit, func(k Listed) keyset.Cursor { return keyset.Cursor{At: k.CreatedAt, ID: k.ID} })
	return list, next, err
}

func pageSQL(q Query) (sql string, args []any) {
	var w keyset.Where
	if q.UserID != "" {
		w.And(`k.user_id = ?`, q.UserID)
	}
	if q.OrganizationID != "" {
		w.And(`k.organization_id = ?`, q.OrganizationID)
	}
	w.Before("k", q.Before)
	return `SELECT ` + columns + `, u.email FROM auth.api_keys AS k JOIN auth.users AS u ON u.id = k.user_id` +
		w.String() + keyset.Newest("k") + ` LIMIT ` + w.Arg(q.Limit+1), w.Args()
}
