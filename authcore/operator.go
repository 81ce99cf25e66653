package authcore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// Users lists accounts, deleted ones left out.
func (s *Service) Users(ctx context.Context, _ principal.Operator, q UserQuery) ([]User, error) {
	if q.Limit <= 0 || q.Limit > 1000 {
		q.Limit = 100
	}
	return dbscope.List[User](ctx, s.db, system(),
		`SELECT `+account.Columns+`
		 FROM auth.users AS u
		 WHERE u.deleted_at IS NULL
		   AND ($1 = '' OR strpos(u.email, lower($1)) > 0 OR strpos(lower(u.name), lower($1)) > 0)
		 ORDER BY u.created_at DESC, u.id
		 LIMIT $2 OFFSET $3`, strings.TrimSpace(q.Search), q.Limit, max(0, q.Offset))
}

// ListedUser is an account with when it was last active, nil for who never signed
// in.
type ListedUser struct {
	User
	LastActiveAt *time.Time
}

// UserPage lists accounts as [Service.Users] does, with how many there are in
// all that match.
func (s *Service) UserPage(ctx context.Context, _ principal.Operator, q UserQuery) (list []ListedUser, total int, err error) {
	if q.Limit <= 0 || q.Limit > 1000 {
		q.Limit = 100
	}
	search := strings.TrimSpace(q.Search)
	const matching = `u.deleted_at IS NULL
		   AND ($1 = '' OR strpos(u.email, lower($1)) > 0 OR strpos(lower(u.name), lower($1)) > 0)`
	n, err := dbscope.One[struct{ Total int }](ctx, s.db, system(), `SELECT count(*) AS total FROM auth.users AS u WHERE `+matching, search)
	if err != nil {
		return nil, 0, err
	}
	list, err = dbscope.List[ListedUser](ctx, s.db, system(),
		`SELECT `+account.Columns+`,
		   (SELECT max(s.last_activity_at) FROM auth.sessions AS s WHERE s.user_id = u.id) AS last_active_at
		 FROM auth.users AS u
		 WHERE `+matching+`
		 ORDER BY u.created_at DESC, u.id
		 LIMIT $2 OFFSET $3`, search, q.Limit, max(0, q.Offset))
	return list, n.Total, err
}

// UserByIDOrEmail finds an account, or fails with [ErrUserNotFound].
func (s *Service) UserByIDOrEmail(ctx context.Context, _ principal.Operator, idOrEmail string) (User, error) {
	u, err := dbscope.One[User](ctx, s.db, system(),
		`SELECT `+account.Columns+`
		 FROM auth.users AS u
		 WHERE u.deleted_at IS NULL AND (u.id = $1 OR u.email = $2)
		 ORDER BY u.id = $1 DESC LIMIT 1`, strings.TrimSpace(idOrEmail), address.Lookup(idOrEmail))
	return u, account.NotFound(err, ErrUserNotFound)
}

// SetRole changes a user's role. Tokens that carry the old one are cut off;
// their sessions live on and give new tokens.
func (s *Service) SetRole(ctx context.Context, op principal.Operator, userID string, role principal.Role) (User, error) {
	if !role.Valid() {
		return User{}, fmt.Errorf("%w: role %q is not user, support, admin or service", ErrInvalidInput, role)
	}
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		tag, err := tx.Exec(ctx,
			`UPDATE auth.users SET role = $2::text::auth.user_role, updated_at = now()
			 WHERE id = $1 AND deleted_at IS NULL`, userID, string(role))
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, ErrUserNotFound
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "role_changed", UserID: userID, By: op, Metadata: map[string]any{"role": role}}); err != nil {
			return nil, err
		}
		cut, err := revocation.CutUserTx(ctx, tx, userID, revocation.ReasonRoleChanged)
		return []revocation.Revocation{cut}, err
	})
	if err != nil {
		return User{}, err
	}
	return s.UserByIDOrEmail(ctx, op, userID)
}

// VerifyEmail notes that a user's address is proven to be theirs, and hands out
// what waited for that. Tokens that say otherwise are cut off; the sessions
// live on and give new ones.
func (s *Service) VerifyEmail(ctx context.Context, op principal.Operator, userID string) (User, error) {
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		tag, err := tx.Exec(ctx,
			`UPDATE auth.users SET email_verified = true, updated_at = now()
			 WHERE id = $1 AND deleted_at IS NULL AND NOT email_verified`, userID)
		if err != nil || tag.RowsAffected() == 0 {
			return nil, err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "email_verified", UserID: userID, By: op}); err != nil {
			return nil, err
		}
		cut, err := revocation.CutUserTx(ctx, tx, userID, revocation.ReasonVerified)
		return []revocation.Revocation{cut}, err
	})
	if err != nil {
		return User{}, err
	}
	u, err := s.UserByIDOrEmail(ctx, op, userID)
	if err != nil {
		return User{}, err
	}
	s.hooks.Verified(context.WithoutCancel(ctx), u)
	return u, nil
}

// SetDisabled bars a user, ending their sessions, or lets them in again.
func (s *Service) SetDisabled(ctx context.Context, op principal.Operator, userID string, disabled bool) (User, error) {
	set, eventType, reason := `now()`, "account_disabled", revocation.ReasonDisabled
	if !disabled {
		set, eventType, reason = `NULL`, "account_enabled", revocation.ReasonEnabled
	}
	err := s.closeAccount(ctx, userID, reason,
		audit.Event{Type: eventType, UserID: userID, By: op},
		func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx,
				`UPDATE auth.users SET disabled_at = `+set+`, updated_at = now()
				 WHERE id = $1 AND deleted_at IS NULL`, userID)
			if err == nil && tag.RowsAffected() == 0 {
				err = ErrUserNotFound
			}
			return err
		})
	if err != nil {
		return User{}, err
	}
	return s.UserByIDOrEmail(ctx, op, userID)
}

// SetPassword gives a user another password, also where there was none, and
// ends all their sessions. It fails with [*password.Error] or [ErrUserNotFound].
func (s *Service) SetPassword(ctx context.Context, op principal.Operator, userID, next string) error {
	if err := s.cfg.Passwords.Check(next); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	return s.closeAccount(ctx, userID, revocation.ReasonPasswordChanged,
		audit.Event{Type: "password_changed", UserID: userID, By: op},
		func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx,
				`INSERT INTO auth.accounts AS a (id, account_id, provider_id, user_id, password)
				 SELECT $2, u.id, 'credential', u.id, $3 FROM auth.users AS u WHERE u.id = $1 AND u.deleted_at IS NULL
				 ON CONFLICT (user_id) WHERE provider_id = 'credential' DO UPDATE SET password = excluded.password, updated_at = now()`,
				userID, ids.New(), hash)
			if err == nil && tag.RowsAffected() == 0 {
				err = ErrUserNotFound
			}
			return err
		})
}

// ResetTwoFactor takes the second factor off a user who has lost it, and tells
// them. It fails with [ErrUserNotFound] or [twofactor.ErrNotEnabled].
func (s *Service) ResetTwoFactor(ctx context.Context, op principal.Operator, userID string) error {
	return s.store.OnAccount(ctx, userID, func(ctx context.Context, tx pgx.Tx, u User) error {
		return s.removeTwoFactorTx(ctx, tx, u, audit.Event{Type: "two_factor_disabled", UserID: u.ID, By: op})
	})
}

// DeleteUser closes a user's account for ever, as [Service.DeleteAccount] does.
// An admin's doing is not mailed to them.
func (s *Service) DeleteUser(ctx context.Context, op principal.Operator, userID string) error {
	return s.leave(ctx, userID, departure{By: op, Quiet: op.UserID != ""})
}

// RevokeUserSession ends one session of a user and those derived from it, or
// fails with [ErrSessionNotFound].
func (s *Service) RevokeUserSession(ctx context.Context, op principal.Operator, userID, sessionID string) (int, error) {
	n, err := s.store.Revoke(ctx, audit.Event{Type: "session_revoked", UserID: userID, By: op,
		Metadata: map[string]any{"sessionId": audit.Clip(sessionID, 64)}},
		revocation.ReasonRevoked, `s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL`, sessionID, userID)
	if err == nil && n == 0 {
		err = ErrSessionNotFound
	}
	return n, err
}

// UserSessions lists a user's live sessions.
func (s *Service) UserSessions(ctx context.Context, _ principal.Operator, userID string) ([]Session, error) {
	return dbscope.List[Session](ctx, s.db, system(), liveSessionsOf, userID)
}

// RevokeUserSessions ends all sessions of a user and returns their number.
func (s *Service) RevokeUserSessions(ctx context.Context, op principal.Operator, userID string) (int, error) {
	return s.revokeAll(ctx, audit.Event{Type: "session_revoked", UserID: userID, By: op})
}
