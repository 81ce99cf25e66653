package authcore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Users lists accounts, deleted ones left out.
func (s *Service) Users(ctx context.Context, _ Operator, q UserQuery) ([]User, error) {
	if q.Limit <= 0 || q.Limit > 1000 {
		q.Limit = 100
	}
	return dbscope.List[User](ctx, s.db, system(),
		`SELECT `+userColumns+`
		 FROM auth.users AS u
		 WHERE u.deleted_at IS NULL
		   AND ($1 = '' OR strpos(u.email, lower($1)) > 0 OR strpos(lower(u.name), lower($1)) > 0)
		 ORDER BY u.created_at DESC, u.id
		 LIMIT $2 OFFSET $3`, strings.TrimSpace(q.Search), q.Limit, max(0, q.Offset))
}

// UserByIDOrEmail finds an account, or fails with [ErrUserNotFound].
func (s *Service) UserByIDOrEmail(ctx context.Context, _ Operator, idOrEmail string) (User, error) {
	u, err := dbscope.One[User](ctx, s.db, system(),
		`SELECT `+userColumns+`
		 FROM auth.users AS u
		 WHERE u.deleted_at IS NULL AND (u.id = $1 OR u.email = lower($1))
		 ORDER BY u.id = $1 DESC LIMIT 1`, strings.TrimSpace(idOrEmail))
	return u, notFound(err, ErrUserNotFound)
}

// SetRole changes a user's role. Tokens that carry the old one are cut off;
// his sessions live on and give new tokens.
func (s *Service) SetRole(ctx context.Context, op Operator, userID string, role Role) (User, error) {
	if !role.Valid() {
		return User{}, fmt.Errorf("%w: role %q is not user, admin or service", ErrInvalidInput, role)
	}
	_, err := s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation, error) {
		tag, err := tx.Exec(ctx,
			`UPDATE auth.users SET role = $2::text::auth.user_role, updated_at = now()
			 WHERE id = $1 AND deleted_at IS NULL`, userID, string(role))
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, ErrUserNotFound
		}
		if err := recordTx(ctx, tx, event{Type: "role_changed", UserID: userID,
			Metadata: map[string]any{"operator": op.Name, "role": role}}); err != nil {
			return nil, err
		}
		cut, err := cutUserTx(ctx, tx, userID, reasonRoleChanged)
		return []revocation{cut}, err
	})
	if err != nil {
		return User{}, err
	}
	return s.UserByIDOrEmail(ctx, op, userID)
}

// SetDisabled bars a user, ending his sessions, or lets him in again.
func (s *Service) SetDisabled(ctx context.Context, op Operator, userID string, disabled bool) (User, error) {
	set, eventType, reason := `now()`, "account_disabled", reasonDisabled
	if !disabled {
		set, eventType, reason = `NULL`, "account_enabled", reasonEnabled
	}
	err := s.closeAccount(ctx, userID, reason,
		event{Type: eventType, UserID: userID, Metadata: map[string]any{"operator": op.Name}},
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

// UserSessions lists a user's live sessions.
func (s *Service) UserSessions(ctx context.Context, _ Operator, userID string) ([]Session, error) {
	return dbscope.List[Session](ctx, s.db, system(), liveSessionsOf, userID)
}

// RevokeUserSessions ends all sessions of a user and returns their number.
func (s *Service) RevokeUserSessions(ctx context.Context, op Operator, userID string) (int, error) {
	return s.revoke(ctx, event{Type: "session_revoked", UserID: userID, Metadata: map[string]any{"operator": op.Name}},
		reasonRevoked, `s.user_id = $1 AND s.revoked_at IS NULL`, userID)
}
