package organization

import (
	"context"
	"strings"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// Joined is an organisation of a user, with their role in it and since when.
type Joined struct {
	OrganizationID string
	Name           string
	Slug           *string
	Role           Role
	Since          time.Time
}

// JoinedBy are the organisations of a user, whether their account may act or not,
// by name, in the scope of the system.
func JoinedBy(ctx context.Context, db dbscope.DB, userID string) ([]Joined, error) {
	return dbscope.List[Joined](ctx, db, dbscope.System(),
		`SELECT m.organization_id, o.name, o.slug, m.role, m.created_at AS since
		 FROM auth.members AS m
		 JOIN auth.organizations AS o ON o.id = m.organization_id
		 WHERE m.user_id = $1
		 ORDER BY lower(o.name), o.id`, userID)
}

// Page lists organisations that a search of [Query] finds, the newest first, those
// that follow a cursor, in the scope of the system. It returns the cursor of the
// next page.
func Page(ctx context.Context, db dbscope.DB, search string, before keyset.Cursor, limit int) ([]Listed, keyset.Cursor, error) {
	var w keyset.Where
	if search = strings.TrimSpace(search); search != "" {
		w.And(`(strpos(lower(o.name), lower(?)) > 0 OR strpos(o.slug, lower(?)) > 0 OR o.id = ?)`, search, search, search)
	}
	w.Before("o", before)
	list, err := dbscope.List[Listed](ctx, db, dbscope.System(),
		listed+w.String()+keyset.Newest("o")+` LIMIT `+w.Arg(limit+1), w.Args()...)
	list, next := keyset.Cut(list, limit, func(o Listed) keyset.Cursor { return keyset.Cursor{At: o.CreatedAt, ID: o.ID} })
	return list, next, err
}

// OpenInvitations are those of an organisation, the newest first, in the scope of
// the system.
func OpenInvitations(ctx context.Context, db dbscope.DB, organizationID string) ([]Invitation, error) {
	return dbscope.List[Invitation](ctx, db, dbscope.System(),
		`SELECT `+invitationColumns+invitationTables+`
		 WHERE i.organization_id = $1 AND `+open+`
		 ORDER BY i.created_at DESC, i.id`, organizationID)
}
