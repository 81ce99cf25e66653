package organization

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

const (
	// InvitationTTL is how long an invitation is good.
	InvitationTTL = 48 * time.Hour
	// MaxPending is how many invitations of an organisation may be open.
	MaxPending = 100

	// Invitations are mail to people who did not ask for it: one address is sent
	// few in an hour, whoever invites, and one organisation sends so many in a day.
	maxToAddress = 5
	maxPerDay    = 500

	// invitationsKept is how long an invitation that is over is kept.
	invitationsKept = 30 * 24 * time.Hour
)

// Status is what became of an invitation.
type Status string

// The states. One that is pending may be too old, and is over then.
const (
	StatusPending  Status = "pending"
	StatusAccepted Status = "accepted"
	StatusRejected Status = "rejected"
	StatusCanceled Status = "canceled"
)

// Invitation is a row of auth.invitations, with the organisation's name and, where
// their account is there still, the name of who invited. Email is in its canonical
// form.
type Invitation struct {
	ID               string
	OrganizationID   string
	Email            string
	Role             Role
	Status           Status
	ExpiresAt        time.Time
	InviterID        *string
	CreatedAt        time.Time
	OrganizationName string
	InviterName      string
}

const (
	invitationColumns = `i.id, i.organization_id, i.email, i.role, i.status, i.expires_at, i.inviter_id, i.created_at,
	o.name AS organization_name, COALESCE(inviter.name, '') AS inviter_name`
	besideInvitation = ` AS i
	JOIN auth.organizations AS o ON o.id = i.organization_id
	LEFT JOIN auth.users AS inviter ON inviter.id = i.inviter_id `
	invitationTables = ` FROM auth.invitations` + besideInvitation

	// open is the condition under which an invitation can be answered.
	open = `i.status = 'pending' AND i.expires_at > now()`
)

// InviteTx invites an address into an organisation whose row is locked, and which
// pays for so many seats, of which zero is any number. It fails with
// [ErrAlreadyMember], [ErrAlreadyInvited], [ErrFull], [ErrNoSeat],
// [ErrTooManyInvited] or [ErrInvitedTooOften].
func InviteTx(ctx context.Context, tx pgx.Tx, organizationID, email string, role Role, inviterID string, seats int) (Invitation, error) {
	type standing struct {
		Member, Invited               bool
		Members, Pending, Today, Sent int
	}
	is, err := dbscope.TxRow[standing](ctx, tx,
		`SELECT
		   EXISTS (SELECT `+memberTables+`WHERE m.organization_id = $1 AND u.email = $2) AS member,
		   EXISTS (SELECT FROM auth.invitations AS i WHERE i.organization_id = $1 AND i.email = $2 AND `+open+`) AS invited,
		   (SELECT count(*) FROM auth.members AS m WHERE m.organization_id = $1) AS members,
		   (SELECT count(*) FROM auth.invitations AS i WHERE i.organization_id = $1 AND `+open+`) AS pending,
		   (SELECT count(*) FROM auth.invitations AS i WHERE i.organization_id = $1 AND i.created_at > now() - interval '1 day') AS today,
		   (SELECT count(*) FROM auth.invitations AS i WHERE i.email = $2 AND i.created_at > now() - interval '1 hour') AS sent`,
		organizationID, email)
	switch {
	case err != nil:
		return Invitation{}, err
	case is.Member:
		return Invitation{}, ErrAlreadyMember
	case is.Invited:
		return Invitation{}, ErrAlreadyInvited
	case is.Members >= MaxMembers:
		return Invitation{}, ErrFull
	case seats > 0 && is.Members+is.Pending >= seats:
		return Invitation{}, ErrNoSeat
	case is.Pending >= MaxPending:
		return Invitation{}, ErrTooManyInvited
	case is.Sent >= maxToAddress, is.Today >= maxPerDay:
		return Invitation{}, ErrInvitedTooOften
	}
	return dbscope.TxRow[Invitation](ctx, tx,
		`WITH made AS (
		   INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
		   VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $6)
		   RETURNING *)
		 SELECT `+invitationColumns+` FROM made`+besideInvitation,
		ids.New(), organizationID, email, string(role), InvitationTTL.Seconds(), inviterID)
}

// FindInvitationTx finds an invitation that can be answered, and locks its
// organisation. It fails with [ErrInvitationNotFound].
func FindInvitationTx(ctx context.Context, tx pgx.Tx, id string) (Invitation, error) {
	// The organisation is locked before the invitation is read: what it says counts.
	if _, err := tx.Exec(ctx,
		`SELECT FROM auth.organizations AS o
		 WHERE o.id = (SELECT i.organization_id FROM auth.invitations AS i WHERE i.id = $1) FOR NO KEY UPDATE`, id); err != nil {
		return Invitation{}, err
	}
	i, err := dbscope.TxRow[Invitation](ctx, tx, `SELECT `+invitationColumns+invitationTables+`WHERE i.id = $1 AND `+open, id)
	return i, notFound(err, ErrInvitationNotFound)
}

// AnswerTx notes what became of an invitation.
func AnswerTx(ctx context.Context, tx pgx.Tx, i Invitation, status Status) (Invitation, error) {
	_, err := tx.Exec(ctx, `UPDATE auth.invitations SET status = $2 WHERE id = $1`, i.ID, string(status))
	i.Status = status
	return i, err
}

// InvitationsTx are the open invitations of an organisation, the newest first.
func InvitationsTx(ctx context.Context, tx pgx.Tx, organizationID string) ([]Invitation, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+invitationColumns+invitationTables+`WHERE i.organization_id = $1 AND `+open+` ORDER BY i.created_at DESC, i.id`, organizationID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Invitation])
}

// InvitationsTo are the open invitations to the address that a user has proven to
// be theirs, the newest first, in the scope of the system: who is invited does not
// see the organisation yet.
func InvitationsTo(ctx context.Context, db dbscope.DB, userID string) ([]Invitation, error) {
	return dbscope.List[Invitation](ctx, db, dbscope.System(),
		`SELECT `+invitationColumns+invitationTables+`
		 JOIN auth.users AS u ON u.email = i.email
		 WHERE u.id = $1 AND u.email_verified AND `+usable+` AND `+open+`
		 ORDER BY i.created_at DESC, i.id`, userID)
}

// Prune drops invitations that have been over for a while.
func Prune(ctx context.Context, db dbscope.DB) (int64, error) {
	return db.Prune(ctx, "prune auth.invitations",
		`DELETE FROM auth.invitations
		 WHERE id IN (
		   SELECT i.id FROM auth.invitations AS i
		   WHERE i.expires_at < now() - make_interval(secs => $1)
		   ORDER BY i.expires_at
		   LIMIT $2)`, invitationsKept.Seconds())
}
