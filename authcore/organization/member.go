package organization

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// MaxMembers is how many members an organisation may have.
const MaxMembers = 100

// Member is somebody in an organisation: a row of auth.members, with what is
// shown of their account.
type Member struct {
	ID             string
	OrganizationID string
	UserID         string
	Role           Role
	CreatedAt      time.Time
	Name           string
	Email          string
	Image          *string
}

const (
	memberColumns = `m.id, m.organization_id, m.user_id, m.role, m.created_at, u.name, u.email, u.image`
	memberTables  = ` FROM auth.members AS m JOIN auth.users AS u ON u.id = m.user_id `
)

// usable is the condition under which an account may act.
const usable = `u.deleted_at IS NULL AND u.disabled_at IS NULL`

// AddMemberTx makes a user a member. It fails with [ErrAlreadyMember].
func AddMemberTx(ctx context.Context, tx pgx.Tx, organizationID, userID string, role Role) (Member, error) {
	m, err := dbscope.TxRow[Member](ctx, tx,
		`WITH m AS (
		   INSERT INTO auth.members (id, organization_id, user_id, role)
		   VALUES ($1, $2, $3, $4)
		   ON CONFLICT (organization_id, user_id) DO NOTHING
		   RETURNING *)
		 SELECT `+memberColumns+` FROM m JOIN auth.users AS u ON u.id = m.user_id`,
		ids.New(), organizationID, userID, string(role))
	return m, notFound(err, ErrAlreadyMember)
}

// MemberOfTx is who a user is in an organisation. It fails with
// [ErrMemberNotFound].
func MemberOfTx(ctx context.Context, tx pgx.Tx, organizationID, userID string) (Member, error) {
	m, err := dbscope.TxRow[Member](ctx, tx,
		`SELECT `+memberColumns+memberTables+`WHERE m.organization_id = $1 AND m.user_id = $2`, organizationID, userID)
	return m, notFound(err, ErrMemberNotFound)
}

// FindMemberTx finds a member by id or, in its canonical form, address. It fails
// with [ErrMemberNotFound].
func FindMemberTx(ctx context.Context, tx pgx.Tx, organizationID, id, email string) (Member, error) {
	m, err := dbscope.TxRow[Member](ctx, tx,
		`SELECT `+memberColumns+memberTables+`
		 WHERE m.organization_id = $1 AND (m.id = $2 OR u.email = $3)
		 ORDER BY m.id = $2 DESC LIMIT 1`, organizationID, id, email)
	return m, notFound(err, ErrMemberNotFound)
}

// MembersTx are the members of an organisation, the oldest first.
func MembersTx(ctx context.Context, tx pgx.Tx, organizationID string) ([]Member, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+memberColumns+memberTables+`WHERE m.organization_id = $1 ORDER BY m.created_at, m.id`, organizationID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Member])
}

// RoomTx fails with [ErrFull] or [ErrNoSeat] where an organisation, whose row is
// locked, has as many members as it may have: [MaxMembers], or the seats that it pays
// for, of which zero is any number.
func RoomTx(ctx context.Context, tx pgx.Tx, organizationID string, seats int) error {
	row, err := dbscope.TxRow[struct{ N int }](ctx, tx, `SELECT count(*) AS n FROM auth.members AS m WHERE m.organization_id = $1`, organizationID)
	switch {
	case err != nil:
		return err
	case row.N >= MaxMembers:
		return ErrFull
	case seats > 0 && row.N >= seats:
		return ErrNoSeat
	}
	return nil
}

// CountOwnedTx is how many organisations a user owns.
func CountOwnedTx(ctx context.Context, tx pgx.Tx, userID string) (int, error) {
	row, err := dbscope.TxRow[struct{ N int }](ctx, tx,
		`SELECT count(*) AS n FROM auth.members AS m WHERE m.user_id = $1 AND m.role = 'owner'`, userID)
	return row.N, err
}

// OwnedOnlyByTx reports whether nobody but the member owns the organisation who
// could act for it.
func OwnedOnlyByTx(ctx context.Context, tx pgx.Tx, m Member) (bool, error) {
	row, err := dbscope.TxRow[struct{ Others bool }](ctx, tx,
		`SELECT EXISTS (SELECT `+memberTables+`
		 WHERE m.organization_id = $1 AND m.id <> $2 AND m.role = 'owner' AND `+usable+`) AS others`, m.OrganizationID, m.ID)
	return m.Role == RoleOwner && !row.Others, err
}

// SuccessorTx is who takes an organisation over from a member who leaves for
// good: the oldest admin, else the oldest member; those whose accounts are barred
// come last. It fails with [ErrMemberNotFound] where nobody else is there.
func SuccessorTx(ctx context.Context, tx pgx.Tx, m Member) (Member, error) {
	next, err := dbscope.TxRow[Member](ctx, tx,
		`SELECT `+memberColumns+memberTables+`
		 WHERE m.organization_id = $1 AND m.id <> $2
		 ORDER BY u.disabled_at IS NULL DESC, m.role = 'admin' DESC, m.created_at, m.id LIMIT 1`, m.OrganizationID, m.ID)
	return next, notFound(err, ErrMemberNotFound)
}

// SetRoleTx gives a member another role.
func SetRoleTx(ctx context.Context, tx pgx.Tx, m Member, role Role) (Member, error) {
	_, err := tx.Exec(ctx, `UPDATE auth.members SET role = $2 WHERE id = $1`, m.ID, string(role))
	m.Role = role
	return m, err
}

// RemoveMemberTx takes a member out of an organisation.
func RemoveMemberTx(ctx context.Context, tx pgx.Tx, m Member) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.members WHERE id = $1`, m.ID)
	return err
}

// Members are those of an organisation that a user may read, in the scope of the
// system, for nobody else sees accounts. It fails with [ErrNotFound].
func Members(ctx context.Context, db dbscope.DB, organizationID, userID string, all bool) (list []Member, err error) {
	err = db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := readableTx(ctx, tx, organizationID, userID, all); err != nil {
			return err
		}
		list, err = MembersTx(ctx, tx, organizationID)
		return err
	})
	return list, err
}

// readableTx fails with [ErrNotFound] for what a user may not read.
func readableTx(ctx context.Context, tx pgx.Tx, organizationID, userID string, all bool) error {
	_, err := dbscope.TxRow[Organization](ctx, tx,
		`SELECT `+columns+` FROM auth.organizations AS o WHERE o.id = $1 AND `+readable, organizationID, userID, all)
	return notFound(err, ErrNotFound)
}

// Membership is an organisation of a user, and their role in it.
type Membership struct {
	OrganizationID string
	Role           Role
	Name           string
	Slug           *string
}

const membershipSQL = `
	SELECT m.organization_id, m.role, o.name, o.slug
	FROM auth.members AS m
	JOIN auth.organizations AS o ON o.id = m.organization_id
	JOIN auth.users AS u ON u.id = m.user_id AND ` + usable

// MembershipOf is what a user whose account may act is in an organisation, in the
// scope of the system. It fails with [ErrMemberNotFound].
func MembershipOf(ctx context.Context, db dbscope.DB, organizationID, userID string) (Membership, error) {
	m, err := dbscope.One[Membership](ctx, db, dbscope.System(),
		membershipSQL+` WHERE m.organization_id = $1 AND m.user_id = $2`, organizationID, userID)
	return m, notFound(err, ErrMemberNotFound)
}

// Memberships are those of a user whose account may act, by name, in the scope of
// the system.
func Memberships(ctx context.Context, db dbscope.DB, userID string) ([]Membership, error) {
	return dbscope.List[Membership](ctx, db, dbscope.System(),
		membershipSQL+` WHERE m.user_id = $1 ORDER BY lower(o.name), o.id`, userID)
}
