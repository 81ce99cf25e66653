package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// Session reads the caller's own account and session, or [ErrNoSession].
func (s *Service) Session(ctx context.Context, c principal.Caller) (User, Session, error) {
	u, err := s.userByID(ctx, c)
	if err != nil {
		if errors.Is(err, ErrUserNotFound) {
			err = ErrNoSession
		}
		return User{}, Session{}, err
	}
	ses, err := dbscope.One[Session](ctx, s.db, account.ScopeOf(c),
		`SELECT `+session.Columns+`
		 FROM auth.sessions AS s
		 WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > now()`, c.SessionID, c.UserID)
	return u, ses, account.NotFound(err, ErrNoSession)
}

const liveSessionsOf = `SELECT ` + session.Columns + `
	FROM auth.sessions AS s
	WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND s.client_id IS NULL
	ORDER BY s.last_activity_at DESC NULLS LAST, s.id`

// Sessions lists the caller's live sessions, the last used first. Those that OpenID
// clients hold are among [grant.Grants.ConnectedApps].
func (s *Service) Sessions(ctx context.Context, c principal.Caller) ([]Session, error) {
	return dbscope.List[Session](ctx, s.db, account.ScopeOf(c), liveSessionsOf, c.UserID)
}

// RevokeSession ends one of the caller's sessions and those derived from it.
// It fails with [ErrSessionNotFound] for another user's or an ended one.
func (s *Service) RevokeSession(ctx context.Context, c principal.Caller, id string) error {
	n, err := s.store.Revoke(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"sessionId": audit.Clip(id, 64)}},
		revocation.ReasonRevoked, `s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL`, id, c.UserID)
	if err == nil && n == 0 {
		return ErrSessionNotFound
	}
	return err
}

// othersThan selects a user's live sessions that are not among those kept, nor
// derived from one of them.
const othersThan = `s.user_id = $1 AND s.revoked_at IS NULL
	AND s.id <> ALL($2::text[]) AND (s.parent_id IS NULL OR s.parent_id <> ALL($2::text[]))`

// keptWith names the caller's session and the browser session it came from:
// they are one device, and end together.
func (s *Service) keptWith(ctx context.Context, c principal.Caller) ([]string, error) {
	type kept struct{ ID string }
	list, err := dbscope.List[kept](ctx, s.db, account.ScopeOf(c),
		`SELECT $1::text AS id
		 UNION
		 SELECT s.parent_id FROM auth.sessions AS s WHERE s.id = $1 AND s.user_id = $2 AND s.parent_id IS NOT NULL`,
		c.SessionID, c.UserID)
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i] = k.ID
	}
	return ids, err
}

// RevokeOtherSessions ends every session of the caller but their own and the
// browser session it came from. It returns how many ended.
func (s *Service) RevokeOtherSessions(ctx context.Context, c principal.Caller) (int, error) {
	keep, err := s.keptWith(ctx, c)
	if err != nil {
		return 0, err
	}
	return s.store.Revoke(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"all": "others"}},
		revocation.ReasonRevoked, othersThan, c.UserID, keep)
}

// RevokeAllSessions ends every session of the caller, the one they act from
// included. It returns how many ended.
func (s *Service) RevokeAllSessions(ctx context.Context, c principal.Caller) (int, error) {
	return s.revokeAll(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"all": "everywhere"}})
}

// revokeAll ends every session of the event's user, and no device is trusted any
// more.
func (s *Service) revokeAll(ctx context.Context, e audit.Event) (int, error) {
	return s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := challenge.EndTx(ctx, tx, challenge.TrustedDevice, e.UserID); err != nil {
			return nil, err
		}
		return session.RevokeTx(ctx, tx, e, revocation.ReasonRevoked, `s.user_id = $1 AND s.revoked_at IS NULL`, e.UserID)
	})
}
