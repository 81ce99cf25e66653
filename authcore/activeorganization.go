package authcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
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
// fails with [organization.ErrNotFound] or [ErrSessionNotFound].
func (s *Service) SetActiveOrganization(ctx context.Context, c principal.Caller, organizationID string) (ActiveOrganization, error) {
	var active ActiveOrganization
	var who subject
	err := s.asUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		active.Organization = nil
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
		ses, err := activateTx(ctx, tx, c, organizationID)
		if err != nil {
			return err
		}
		who = subjectOf(u, ses)
		return audit.RecordTx(ctx, tx, organizationEvent("organization_activated", c.UserID, c.Client, organizationID, nil))
	})
	if err != nil {
		return ActiveOrganization{}, err
	}
	return s.activated(active, who)
}

// activated makes the token of a session whose active organisation is another now.
func (s *Service) activated(active ActiveOrganization, who subject) (ActiveOrganization, error) {
	s.forgetUser(who.userID)
	var err error
	active.AccessToken, err = s.accessToken(who)
	active.ExpiresIn = s.cfg.AccessTokenTTL
	return active, err
}

// activateTx sets the active organisation of the caller's session, none for an
// empty id, and tells the edges that have it in memory. It fails with
// [ErrSessionNotFound].
func activateTx(ctx context.Context, tx pgx.Tx, c principal.Caller, organizationID string) (Session, error) {
	tag, err := tx.Exec(ctx,
		`UPDATE auth.sessions SET active_organization_id = NULLIF($3, ''), updated_at = now()
		 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL`, c.SessionID, c.UserID, organizationID)
	if err != nil {
		return Session{}, err
	}
	if tag.RowsAffected() == 0 {
		return Session{}, ErrSessionNotFound
	}
	if _, err = tx.Exec(ctx, `SELECT pg_notify('`+userChannel+`', $1)`, c.UserID); err != nil {
		return Session{}, err
	}
	return dbscope.TxRow[Session](ctx, tx, `SELECT `+sessionColumns+` FROM auth.sessions AS s WHERE s.id = $1`, c.SessionID)
}
