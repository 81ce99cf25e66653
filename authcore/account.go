package authcore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/usertext"
)

// Profile reads the caller's account, or [ErrUserNotFound].
func (s *Service) Profile(ctx context.Context, c principal.Caller) (User, error) {
	return s.userByID(ctx, c)
}

// UpdateProfile changes the caller's name and picture. An empty picture is none.
func (s *Service) UpdateProfile(ctx context.Context, c principal.Caller, change ProfileChange) (User, error) {
	if change.Name != nil {
		name, err := account.NameOf(*change.Name)
		if err != nil {
			return User{}, err
		}
		if name == "" {
			return User{}, fmt.Errorf("%w: name is empty", ErrInvalidInput)
		}
		change.Name = &name
	}
	u, err := dbscope.One[User](ctx, s.db, account.ScopeOf(c),
		`UPDATE auth.users AS u
		 SET name = COALESCE($2::text, u.name), image = NULLIF(COALESCE($3::text, u.image), ''), updated_at = now()
		 WHERE u.id = $1 AND `+account.Usable+`
		 RETURNING `+account.Columns, c.UserID, change.Name, change.Image)
	if err == nil {
		s.Forget(c.UserID)
	}
	return u, account.NotFound(err, ErrUserNotFound)
}

// ownPassword verifies the caller's current password under the same lockout
// as sign-in, and returns the stored hash. Tries count by the sign-in that the
// caller's session stems from: a cookie can be exchanged for any number of
// sessions. It fails with [ErrNoPassword], [ErrWrongPassword] or
// [*LockedError].
func (s *Service) ownPassword(ctx context.Context, c principal.Caller, password string) (string, error) {
	type stored struct {
		Password *string
		SignIn   string
	}
	r, err := dbscope.One[stored](ctx, s.db, system(),
		`SELECT a.password, COALESCE(s.parent_id, $2) AS sign_in
		 FROM auth.users AS u
		 LEFT JOIN auth.accounts AS a ON a.user_id = u.id AND a.provider_id = 'credential'
		 LEFT JOIN auth.sessions AS s ON s.id = $2 AND s.user_id = u.id
		 WHERE u.id = $1 AND `+account.Usable, c.UserID, c.SessionID)
	if err != nil {
		return "", account.NotFound(err, ErrUserNotFound)
	}
	if r.Password == nil || *r.Password == "" {
		return "", ErrNoPassword
	}
	subject := lockout.Subject("session", r.SignIn)
	if err := lockout.Check(ctx, s.db, subject); err != nil {
		return "", err
	}
	ok, _, err := s.hasher.Verify(ctx, *r.Password, password)
	if err != nil {
		return "", err
	}
	if !ok {
		if err := s.rejected(ctx, c.Client, c.UserID, c.Email, subject, nil); !errors.Is(err, ErrInvalidCredentials) {
			return "", err
		}
		return "", ErrWrongPassword
	}
	return *r.Password, lockout.Clear(ctx, s.db, subject)
}

// ChangePassword replaces the caller's password and ends all their other
// sessions; the one they act from goes on. It fails with [ErrWrongPassword],
// [ErrNoPassword], [*password.Error] or [*LockedError].
func (s *Service) ChangePassword(ctx context.Context, c principal.Caller, current, next string) error {
	if err := s.cfg.Passwords.Check(next); err != nil {
		return err
	}
	old, err := s.ownPassword(ctx, c, current)
	if err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	keep, err := s.keptWith(ctx, c)
	if err != nil {
		return err
	}
	changed := audit.Event{Type: "password_changed", UserID: c.UserID, Client: c.Client,
		Metadata: map[string]any{"changedAt": s.now().UTC().Format(time.RFC3339Nano)}}
	_, err = s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		tag, err := tx.Exec(ctx,
			`UPDATE auth.accounts SET password = $1, updated_at = now()
			 WHERE user_id = $2 AND provider_id = 'credential' AND password = $3`, hash, c.UserID, old)
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, ErrWrongPassword
		}
		if err := audit.RecordTx(ctx, tx, changed); err != nil {
			return nil, err
		}
		u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+account.Columns+` FROM auth.users AS u WHERE u.id = $1`, c.UserID)
		if err != nil {
			return nil, err
		}
		if err := s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.PasswordChanged, UserID: u.ID, To: u.Email, Name: u.Name, Client: c.Client, At: s.now(),
		}); err != nil {
			return nil, err
		}
		if err := challenge.EndTx(ctx, tx, challenge.TrustedDevice, u.ID); err != nil {
			return nil, err
		}
		return session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client},
			revocation.ReasonPasswordChanged, othersThan, c.UserID, keep)
	})
	if err == nil {
		s.mailer.Wake()
	}
	return err
}

// DeleteAccount closes the caller's account for ever: every session ends, the
// password is gone, what tells who they were is erased, and the row remains
// without it for the ledger to point at. The address is free again. Who gives no
// password must have authenticated recently.
func (s *Service) DeleteAccount(ctx context.Context, c principal.Caller, password, reason string) error {
	if err := s.proveRecent(ctx, c, password); err != nil {
		return err
	}
	return s.leave(ctx, c.UserID, departure{Reason: usertext.Clean(reason, 1000)})
}

// closeAccount bars a user and ends their sessions: the change, the event and
// what is cut off commit together.
func (s *Service) closeAccount(ctx context.Context, userID, reason string, e audit.Event, change func(context.Context, pgx.Tx) error) error {
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := change(ctx, tx); err != nil {
			return nil, err
		}
		if err := audit.RecordTx(ctx, tx, e); err != nil {
			return nil, err
		}
		if err := challenge.EndTx(ctx, tx, challenge.TrustedDevice, userID); err != nil {
			return nil, err
		}
		cut, err := revocation.CutUserTx(ctx, tx, userID, reason)
		if err != nil {
			return nil, err
		}
		revs, err := session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: userID, Client: e.Client}, reason,
			`s.user_id = $1 AND s.revoked_at IS NULL`, userID)
		return append(revs, cut), err
	})
	return err
}
