package membership

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// ActiveOrganization is what a session acts in from now on. Organization is nil
// where that is none. AccessToken says so; the one before says what was until it
// expires.
type ActiveOrganization struct {
	Organization *organization.Organization
	AccessToken  string
	ExpiresIn    time.Duration
}

// SetActiveOrganization makes an organisation of the caller the active one of the
// session they act from, and of no other. An empty id leaves it without one. It
// fails with [organization.ErrNotFound] or [session.ErrNotFound].
func (s *Directory) SetActiveOrganization(ctx context.Context, c principal.Caller, organizationID string) (ActiveOrganization, error) {
	var active ActiveOrganization
	var u account.User
	var ses session.Session
	err := s.with.Store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, locked account.User) (err error) {
		u, active.Organization = locked, nil
		if organizationID != "" {
			if _, err := organization.MemberOfTx(ctx, tx, organizationID, c.UserID); errors.Is(err, organization.ErrMemberNotFound) {
				return organization.ErrNotFound
			} else if err != nil {
				return err
			}
			o, err := organization.HoldTx(ctx, tx, organizationID)
			if err != nil {
				return err
			}
			active.Organization = &o
		}
		if ses, err = activateTx(ctx, tx, c, organizationID); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, organizationEvent("organization_activated", c.UserID, c.Client, organizationID, nil))
	})
	if err != nil {
		return ActiveOrganization{}, err
	}
	return s.activated(active, u, ses)
}

// activated makes the token of a session whose active organisation is another now.
func (s *Directory) activated(active ActiveOrganization, u account.User, ses session.Session) (ActiveOrganization, error) {
	s.with.Forget(u.ID)
	var err error
	active.AccessToken, err = s.with.Token(u, ses)
	active.ExpiresIn = s.with.TokenTTL
	return active, err
}

// activateTx sets the active organisation of the caller's session, none for an
// empty id, and tells the edges that have it in memory. It fails with
// [session.ErrNotFound].
func activateTx(ctx context.Context, tx pgx.Tx, c principal.Caller, organizationID string) (session.Session, error) {
	tag, err := tx.Exec(ctx,
		`UPDATE auth.sessions SET active_organization_id = NULLIF($3, ''), updated_at = now()
		 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL`, c.SessionID, c.UserID, organizationID)
	if err != nil {
		return session.Session{}, err
	}
	if tag.RowsAffected() == 0 {
		return session.Session{}, session.ErrNotFound
	}
	if err := account.ChangedTx(ctx, tx, c.UserID); err != nil {
		return session.Session{}, err
	}
	return dbscope.TxRow[session.Session](ctx, tx, `SELECT `+session.Columns+` FROM auth.sessions AS s WHERE s.id = $1`, c.SessionID)
}
