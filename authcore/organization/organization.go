package organization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/usertext"
)

const (
	// MaxPerUser is how many organisations a user may own before making another.
	MaxPerUser = 10
	// MinName is how short the name of an organisation may be, in characters as people
	// count them.
	MinName = 2
	// MaxName is how long it may be.
	MaxName = 255
	// MaxLogo is how long the address of a logo may be, in characters.
	MaxLogo = 500
	// MaxMetadata bounds what apps keep with an organisation, in bytes of JSON.
	MaxMetadata = 16 << 10
)

// Organization is a row of auth.organizations. Slug, Logo and Metadata, a JSON
// object, are nil where there is none.
type Organization struct {
	ID        string
	Name      string
	Slug      *string
	Logo      *string
	Metadata  json.RawMessage
	CreatedAt time.Time
	UpdatedAt time.Time
}

const columns = `o.id, o.name, o.slug, o.logo, o.metadata, o.created_at, o.updated_at`

// New is an organisation to be made. An empty Slug is made of the name, and an
// empty ID is random.
type New struct {
	ID       string
	Name     string
	Slug     string
	Logo     string
	Metadata json.RawMessage
}

// Change names the fields to change; nil leaves a field alone, and an empty logo
// takes it away.
type Change struct {
	Name     *string
	Logo     *string
	Metadata json.RawMessage
}

// Check is what is right of what is to be made, or [ErrInvalidInput].
func (n New) Check() (New, error) {
	var err error
	if n.Name, err = nameOf(n.Name); err != nil {
		return n, err
	}
	if n.Slug != "" && !ValidSlug(n.Slug) {
		return n, fmt.Errorf("%w: slug must be lower-case letters, digits, underscores and single hyphens", ErrInvalidInput)
	}
	if n.Logo, err = logoOf(n.Logo); err != nil {
		return n, err
	}
	return n, checkMetadata(n.Metadata)
}

// Check is what is right of a change, or [ErrInvalidInput].
func (c Change) Check() (Change, error) {
	if c.Name != nil {
		name, err := nameOf(*c.Name)
		if err != nil {
			return c, err
		}
		c.Name = &name
	}
	if c.Logo != nil {
		logo, err := logoOf(*c.Logo)
		if err != nil {
			return c, err
		}
		c.Logo = &logo
	}
	return c, checkMetadata(c.Metadata)
}

func nameOf(text string) (string, error) {
	name, err := usertext.Line(text, MaxName)
	if err != nil {
		return "", fmt.Errorf("%w: name %w", ErrInvalidInput, err)
	}
	if len([]rune(name)) < MinName {
		return "", fmt.Errorf("%w: name must be longer than or equal to %d characters", ErrInvalidInput, MinName)
	}
	return name, nil
}

func logoOf(text string) (string, error) {
	logo, err := usertext.Line(text, MaxLogo)
	if err != nil {
		return "", fmt.Errorf("%w: logo %w", ErrInvalidInput, err)
	}
	return logo, nil
}

func checkMetadata(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if len(raw) > MaxMetadata || json.Unmarshal(raw, &object) != nil || object == nil {
		return fmt.Errorf("%w: metadata must be an object of at most %d kB", ErrInvalidInput, MaxMetadata>>10)
	}
	return nil
}

// FreeSlugTx finds a slug for a name that nobody has. Another transaction may
// take it before the caller's does.
func FreeSlugTx(ctx context.Context, tx pgx.Tx, name string) (string, error) {
	row, err := dbscope.TxRow[struct{ Slug string }](ctx, tx,
		`SELECT wanted.slug
		 FROM unnest($1::text[]) WITH ORDINALITY AS wanted (slug, place)
		 WHERE NOT EXISTS (SELECT FROM auth.organizations AS o WHERE o.slug = wanted.slug)
		 ORDER BY wanted.place LIMIT 1`, slugsFor(name))
	return row.Slug, err
}

// slugRaces is how often another slug is looked for when somebody else was
// quicker.
const slugRaces = 10

// InsertTx makes an organisation that was checked, and its first member, the
// owner. A slug that was asked for and is taken fails with [ErrSlugTaken]; one
// that was made of the name gives way.
func InsertTx(ctx context.Context, tx pgx.Tx, n New, ownerID string) (Organization, error) {
	if n.ID == "" {
		n.ID = ids.New()
	}
	asked := n.Slug != ""
	for try := 0; ; try++ {
		if !asked {
			var err error
			if n.Slug, err = FreeSlugTx(ctx, tx, n.Name); err != nil {
				return Organization{}, err
			}
		}
		made, err := insertTx(ctx, tx, n)
		if errors.Is(err, ErrSlugTaken) && !asked && try < slugRaces {
			continue
		}
		if err != nil {
			return Organization{}, err
		}
		_, err = AddMemberTx(ctx, tx, made.ID, ownerID, RoleOwner)
		return made, err
	}
}

// insertTx waits for whoever is about to take the slug, and fails with
// [ErrSlugTaken] where they do.
func insertTx(ctx context.Context, tx pgx.Tx, n New) (Organization, error) {
	made, err := dbscope.TxRow[Organization](ctx, tx,
		`WITH o AS (
		   INSERT INTO auth.organizations (id, name, slug, logo, metadata)
		   VALUES ($1, $2, $3, NULLIF($4, ''), $5)
		   ON CONFLICT (slug) DO NOTHING
		   RETURNING *)
		 SELECT `+columns+` FROM o`, n.ID, n.Name, n.Slug, n.Logo, nullJSON(n.Metadata))
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrSlugTaken
	}
	return made, err
}

func nullJSON(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// LockTx locks an organisation, so that nobody else changes it or its members
// meanwhile. It fails with [ErrNotFound].
func LockTx(ctx context.Context, tx pgx.Tx, id string) (Organization, error) {
	o, err := dbscope.TxRow[Organization](ctx, tx,
		`SELECT `+columns+` FROM auth.organizations AS o WHERE o.id = $1 FOR NO KEY UPDATE`, id)
	return o, notFound(err, ErrNotFound)
}

// HoldTx reads an organisation and keeps it from being deleted meanwhile. It fails
// with [ErrNotFound].
func HoldTx(ctx context.Context, tx pgx.Tx, id string) (Organization, error) {
	o, err := dbscope.TxRow[Organization](ctx, tx,
		`SELECT `+columns+` FROM auth.organizations AS o WHERE o.id = $1 FOR KEY SHARE`, id)
	return o, notFound(err, ErrNotFound)
}

// LockAllOfTx locks every organisation of a user, and returns their ids.
func LockAllOfTx(ctx context.Context, tx pgx.Tx, userID string) ([]string, error) {
	rows, err := tx.Query(ctx,
		`SELECT o.id
		 FROM auth.organizations AS o
		 WHERE o.id IN (SELECT m.organization_id FROM auth.members AS m WHERE m.user_id = $1)
		 ORDER BY o.id FOR NO KEY UPDATE`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// UpdateTx changes an organisation by a change that was checked.
func UpdateTx(ctx context.Context, tx pgx.Tx, id string, c Change) (Organization, error) {
	o, err := dbscope.TxRow[Organization](ctx, tx,
		`UPDATE auth.organizations AS o
		 SET name = COALESCE($2::text, o.name),
		   logo = CASE WHEN $3::text IS NULL THEN o.logo ELSE NULLIF($3::text, '') END,
		   metadata = COALESCE($4::jsonb, o.metadata), updated_at = now()
		 WHERE o.id = $1
		 RETURNING `+columns, id, c.Name, c.Logo, nullJSON(c.Metadata))
	return o, notFound(err, ErrNotFound)
}

// DeleteTx deletes an organisation with its members and invitations. No session
// has it as its active one any more.
func DeleteTx(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.organizations WHERE id = $1`, id)
	return err
}

// List are the organisations of a user, by name, in the scope of that user.
func List(ctx context.Context, db dbscope.DB, s dbscope.Scope, userID string) ([]Organization, error) {
	return dbscope.List[Organization](ctx, db, s,
		`SELECT `+columns+`
		 FROM auth.organizations AS o
		 JOIN auth.members AS m ON m.organization_id = o.id
		 WHERE m.user_id = $1
		 ORDER BY lower(o.name), o.id`, userID)
}

// Find reads an organisation of a user, or any for who may read all. It fails
// with [ErrNotFound].
func Find(ctx context.Context, db dbscope.DB, s dbscope.Scope, id, userID string, all bool) (Organization, error) {
	o, err := dbscope.One[Organization](ctx, db, s,
		`SELECT `+columns+` FROM auth.organizations AS o WHERE o.id = $1 AND `+readable, id, userID, all)
	return o, notFound(err, ErrNotFound)
}

// readable is the condition under which user $2 may read an organisation `o`; $3
// says that they may read all.
const readable = `($3 OR EXISTS (SELECT FROM auth.members AS mine WHERE mine.organization_id = o.id AND mine.user_id = $2))`

// Listed is an organisation with how many members it has, and its owners'
// addresses.
type Listed struct {
	Organization
	Members int
	Owners  []string
}

// Query pages through all organisations, the newest first. Search matches a part
// of name or slug. Limit is 1 to 1000, 100 where zero.
type Query struct {
	Search        string
	Limit, Offset int
}

const listed = `SELECT ` + columns + `,
	  (SELECT count(*) FROM auth.members AS m WHERE m.organization_id = o.id) AS members,
	  ARRAY(SELECT u.email FROM auth.members AS m JOIN auth.users AS u ON u.id = m.user_id
	        WHERE m.organization_id = o.id AND m.role = 'owner' ORDER BY m.created_at, m.id) AS owners
	FROM auth.organizations AS o`

// All lists organisations, in the scope of the system.
func All(ctx context.Context, db dbscope.DB, q Query) ([]Listed, error) {
	if q.Limit <= 0 || q.Limit > 1000 {
		q.Limit = 100
	}
	return dbscope.List[Listed](ctx, db, dbscope.System(), listed+`
		WHERE $1 = '' OR strpos(lower(o.name), lower($1)) > 0 OR strpos(o.slug, lower($1)) > 0
		ORDER BY o.created_at DESC, o.id
		LIMIT $2 OFFSET $3`, strings.TrimSpace(q.Search), q.Limit, max(0, q.Offset))
}

// ByIDOrSlug finds any organisation, in the scope of the system, or fails with
// [ErrNotFound].
func ByIDOrSlug(ctx context.Context, db dbscope.DB, idOrSlug string) (Listed, error) {
	o, err := dbscope.One[Listed](ctx, db, dbscope.System(), listed+`
		WHERE o.id = $1 OR o.slug = $1
		ORDER BY o.id = $1 DESC LIMIT 1`, strings.TrimSpace(idOrSlug))
	return o, notFound(err, ErrNotFound)
}

func notFound(err, sentinel error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return sentinel
	}
	return err
}
