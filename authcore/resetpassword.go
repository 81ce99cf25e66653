package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/ids"
)

// resetTTL is how long the link to another password works.
const resetTTL = time.Hour

// resetAsked is what a link to another password keeps.
type resetAsked struct {
	ReturnTo string `json:"returnTo,omitempty"`
}

// ForgotPassword sends the link to another password. A link that was sent before
// stops to work. redirectTo is the checked origin of the site that asks, and returnTo the
// checked target that the user was on the way to; either may be empty. It tells nothing of
// whether there is an account.
func (s *Service) ForgotPassword(ctx context.Context, client principal.Client, email, redirectTo, returnTo string) error {
	if s.PasswordsOff() {
		return ErrPasswordsOff
	}
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
			Purpose: challenge.ResetPassword, UserID: u.ID, Address: u.Email, Data: resetAsked{returnTo}, TTL: resetTTL,
		})
		if err != nil {
			return err // too many: the link before goes on to work
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.ResetPassword, UserID: u.ID, To: u.Email, Name: u.Name, Token: token, ValidFor: resetTTL,
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
// locked out any more. It returns the target that was given with the wish for it. It
// fails with [*password.Error], [password.ErrBusy], [challenge.ErrUnknown] or
// [challenge.ErrExpired].
func (s *Service) ResetPassword(ctx context.Context, client principal.Client, token, next string) (returnTo string, err error) {
	if s.PasswordsOff() {
		return "", ErrPasswordsOff
	}
	if err := s.cfg.Passwords.Check(next); err != nil {
		return "", err
	}
	if err := s.mayReset(ctx, token); err != nil {
		return "", err // before a hash is computed for who guesses
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return "", err
	}
	var u User
	var asked resetAsked
	var proven bool
	_, err = s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		c, err := openReset(ctx, tx, token)
		if err != nil {
			return nil, err
		}
		if u, err = userOfAddressTx(ctx, tx, c.Address); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(c.Data, &asked); err != nil {
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
			// Whoever made the account has not shown that the address is theirs.
			if err := dropWaysInTx(ctx, tx, u.ID); err != nil {
				return nil, err
			}
		}
		return s.replacePasswordTx(ctx, tx, u, client, hash)
	})
	if err != nil {
		return "", err
	}
	s.mailer.Wake()
	if proven {
		u.EmailVerified = true
		s.hooks.Verified(context.WithoutCancel(ctx), u)
	}
	return asked.ReturnTo, nil
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
		 ON CONFLICT (user_id) WHERE provider_id = 'credential' DO UPDATE SET password = excluded.password, updated_at = now()`,
		u.ID, ids.New(), hash); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM auth.lockouts WHERE subject = $1`, lockout.Subject(u.Email, "")); err != nil {
		return nil, err
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "password_reset_completed", UserID: u.ID, Client: client}); err != nil {
		return nil, err
	}
	if err := s.mailer.PutTx(ctx, tx, notice.Notice{
		Kind: notice.PasswordChanged, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.now(),
	}); err != nil {
		return nil, err
	}
	cut, err := revocation.CutUserTx(ctx, tx, u.ID, revocation.ReasonPasswordChanged)
	if err != nil {
		return nil, err
	}
	revs, err := session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: u.ID, Client: client}, revocation.ReasonPasswordChanged,
		`s.user_id = $1 AND s.revoked_at IS NULL`, u.ID)
	return append(revs, cut), err
}
