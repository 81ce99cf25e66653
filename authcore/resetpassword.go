package authcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/ids"
)

// resetTTL is how long the link to another password works.
const resetTTL = time.Hour

// ForgotPassword sends the link to another password. A link that was sent before
// stops to work. It tells nothing of whether there is an account.
func (s *Service) ForgotPassword(ctx context.Context, client principal.Client, email, redirectTo string) error {
	err := s.mail(ctx, func(ctx context.Context, tx pgx.Tx) error {
		u, err := userOfAddressTx(ctx, tx, email)
		if err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "password_reset_requested", UserID: u.ID, Client: client}); err != nil || u.ID == "" {
			return err
		}
		if err := challenge.EndTx(ctx, tx, challenge.ResetPassword, u.ID); err != nil {
			return err
		}
		token, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.ResetPassword, UserID: u.ID, Address: u.Email, TTL: resetTTL,
		})
		if err != nil {
			return err // too many: the link before goes on to work
		}
		return s.mailer.PutTx(ctx, tx, Notice{
			Kind: NoticeResetPassword, UserID: u.ID, To: u.Email, Name: u.Name, Token: token, ValidFor: resetTTL,
			RedirectTo: redirectTo, Client: client, At: s.now(),
		})
	})
	if errors.Is(err, challenge.ErrTooMany) {
		return nil
	}
	return err
}

// ResetPassword takes the token of a link and gives the account another
// password. The address is proven with that; all sessions end, and nobody is
// locked out any more. It fails with [*password.Error], [password.ErrBusy],
// [challenge.ErrUnknown] or [challenge.ErrExpired].
func (s *Service) ResetPassword(ctx context.Context, client principal.Client, token, next string) error {
	if err := s.cfg.Passwords.Check(next); err != nil {
		return err
	}
	if err := s.mayReset(ctx, token); err != nil {
		return err // before a hash is computed for who guesses
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	var u User
	var proven bool
	_, err = s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		c, err := openReset(ctx, tx, token)
		if err != nil {
			return nil, err
		}
		if u, err = userOfAddressTx(ctx, tx, c.Address); err != nil {
			return nil, err
		}
		if u.ID != c.UserID {
			return nil, challenge.ErrExpired
		}
		if err := errors.Join(challenge.ConsumeTx(ctx, tx, c), challenge.EndTx(ctx, tx, challenge.VerifyEmail, u.ID),
			challenge.EndTx(ctx, tx, challenge.TrustedDevice, u.ID)); err != nil {
			return nil, err
		}
		if proven = !u.EmailVerified; proven {
			if _, err := tx.Exec(ctx, `UPDATE auth.users SET email_verified = true, updated_at = now() WHERE id = $1`, u.ID); err != nil {
				return nil, err
			}
			if err := audit.RecordTx(ctx, tx, audit.Event{Type: "email_verified", UserID: u.ID, Client: client}); err != nil {
				return nil, err
			}
		}
		return s.replacePasswordTx(ctx, tx, u, client, hash)
	})
	if err != nil {
		return err
	}
	s.mailer.Wake()
	if proven {
		u.EmailVerified = true
		s.hooks.Verified(context.WithoutCancel(ctx), u)
	}
	return nil
}

// mayReset fails where a token leads to no other password.
func (s *Service) mayReset(ctx context.Context, token string) error {
	return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := openReset(ctx, tx, token)
		return err
	})
}

func openReset(ctx context.Context, tx pgx.Tx, token string) (challenge.Challenge, error) {
	c, err := challenge.FindTx(ctx, tx, challenge.ResetPassword, token)
	if err == nil && c.Over() {
		err = challenge.ErrExpired
	}
	return c, err
}

// replacePasswordTx stores the hash, tells the owner, and ends what stood on the
// password before.
func (s *Service) replacePasswordTx(ctx context.Context, tx pgx.Tx, u User, client principal.Client, hash string) ([]revocation.Revocation, error) {
	if _, err := tx.Exec(ctx,
		`INSERT INTO auth.accounts AS a (id, account_id, provider_id, user_id, password)
		 VALUES ($2, $1, 'credential', $1, $3)
		 ON CONFLICT (user_id, provider_id) DO UPDATE SET password = excluded.password, updated_at = now()`,
		u.ID, ids.New(), hash); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM auth.lockouts WHERE subject = $1`, lockoutSubject(u.Email, "")); err != nil {
		return nil, err
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "password_reset_completed", UserID: u.ID, Client: client}); err != nil {
		return nil, err
	}
	if err := s.mailer.PutTx(ctx, tx, Notice{
		Kind: NoticePasswordChanged, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.now(),
	}); err != nil {
		return nil, err
	}
	cut, err := cutUserTx(ctx, tx, u.ID, reasonPasswordChanged)
	if err != nil {
		return nil, err
	}
	revs, err := revokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: u.ID, Client: client}, reasonPasswordChanged,
		`s.user_id = $1 AND s.revoked_at IS NULL`, u.ID)
	return append(revs, cut), err
}
