package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
)

// undoTTL is how long the address that an account had can take it back.
const undoTTL = 7 * 24 * time.Hour

// emailChange is what a challenge to change an address knows: the address that
// the account had when it was asked for.
type emailChange struct {
	From       string `json:"from"`
	RedirectTo string `json:"redirectTo,omitempty"`
}

// ChangeEmail mails a link to the address that the caller's account is to have,
// and tells the one it has. It needs a recent proof of who the caller is, and
// tells nothing of whether the new address has an account. It fails with
// [ErrInvalidInput], [*ReauthenticationError] or [challenge.ErrTooMany].
func (s *Service) ChangeEmail(ctx context.Context, c principal.Caller, newEmail, redirectTo string) error {
	to, err := address.Canonical(newEmail)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	if err := s.RequireRecent(ctx, c); err != nil {
		return err
	}
	return s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		if to == u.Email {
			return ErrSameEmail
		}
		if err := challenge.EndTx(ctx, tx, challenge.ChangeEmail, u.ID); err != nil {
			return err
		}
		token, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.ChangeEmail, UserID: u.ID, Address: to, Data: emailChange{u.Email, redirectTo}, TTL: verifyTTL,
		})
		if err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "email_change_requested", UserID: u.ID, Client: c.Client}); err != nil {
			return err
		}
		ask := notice.Notice{
			Kind: notice.ConfirmAddress, UserID: u.ID, To: to, Name: u.Name, Token: token, ValidFor: verifyTTL,
			RedirectTo: redirectTo, Client: c.Client, At: s.now(),
		}
		owner, err := account.OwnerOfAddressTx(ctx, tx, to)
		if err != nil {
			return err
		}
		if owner != nil {
			ask = notice.Notice{Kind: notice.AccountExists, UserID: owner.ID, To: owner.Email, Name: owner.Name, Client: c.Client, At: s.now()}
		}
		if err := s.mailer.PutTx(ctx, tx, ask); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.AddressChanging, UserID: u.ID, To: u.Email, Name: u.Name, Client: c.Client, At: s.now(),
		})
	})
}

// CancelEmailChange ends the change of the caller's address that waits to be confirmed, if
// there is one: its link is worth nothing from then on.
func (s *Service) CancelEmailChange(ctx context.Context, c principal.Caller) error {
	return s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		open, err := challenge.OpenTx(ctx, tx, challenge.ChangeEmail, u.ID)
		if err != nil || len(open) == 0 {
			return err
		}
		if err := challenge.EndTx(ctx, tx, challenge.ChangeEmail, u.ID); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "email_change_cancelled", UserID: u.ID, Client: c.Client})
	})
}

// PendingEmail is the address that the caller's account is to have once it is
// confirmed, empty where no change is under way.
func (s *Service) PendingEmail(ctx context.Context, c principal.Caller) (address string, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		open, err := challenge.OpenTx(ctx, tx, challenge.ChangeEmail, c.UserID)
		if address = ""; err == nil && len(open) > 0 {
			address = open[0].Address
		}
		return err
	})
	return address, err
}

// ConfirmEmailChange takes the token of the link to a new address, which is the
// account's from now on. Sessions stay; the old address is told and can undo it
// for seven days. A token that came back before counts as long as its address is
// the account's. It fails with [challenge.ErrUnknown], [challenge.ErrExpired] or
// [ErrEmailTaken].
func (s *Service) ConfirmEmailChange(ctx context.Context, client principal.Client, token string) (ConfirmedEmail, error) {
	var done ConfirmedEmail
	var changed bool
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		changed = false
		c, u, err := addressChallengeTx(ctx, tx, challenge.ChangeEmail, token)
		if err != nil {
			return nil, err
		}
		var asked emailChange
		if err := json.Unmarshal(c.Data, &asked); err != nil {
			return nil, err
		}
		done = ConfirmedEmail{User: u, RedirectTo: asked.RedirectTo}
		switch {
		case c.ConsumedAt != nil && u.Email == c.Address:
			return nil, nil
		case c.Over(), u.Email != asked.From:
			return nil, challenge.ErrExpired
		}
		if err := challenge.ConsumeTx(ctx, tx, c); err != nil {
			return nil, err
		}
		cut, err := setEmailTx(ctx, tx, u, c.Address)
		if err != nil {
			return nil, err
		}
		undo, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.UndoChangeEmail, UserID: u.ID, Address: u.Email, Data: emailChange{From: c.Address}, TTL: undoTTL, Unbounded: true,
		})
		if err != nil {
			return nil, err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "email_changed", UserID: u.ID, Client: client}); err != nil {
			return nil, err
		}
		changed = true
		done.User.Email, done.User.EmailVerified = c.Address, true
		return []revocation.Revocation{cut}, s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.AddressChanging, UserID: u.ID, To: u.Email, Name: u.Name, Token: undo, ValidFor: undoTTL, Client: client, At: s.now(),
		})
	})
	if err != nil || !changed {
		return done, err
	}
	s.mailer.Wake()
	s.hooks.Verified(context.WithoutCancel(ctx), done.User)
	return done, nil
}

// UndoEmailChange takes the token that an address was sent when it was the
// account's no more: it is again, and all sessions end. Later changes can be
// undone no more. It fails as [Service.ConfirmEmailChange] does.
func (s *Service) UndoEmailChange(ctx context.Context, client principal.Client, token string) (User, error) {
	var u User
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		c, account, err := addressChallengeTx(ctx, tx, challenge.UndoChangeEmail, token)
		if err != nil {
			return nil, err
		}
		u = account
		switch {
		case c.ConsumedAt != nil && u.Email == c.Address:
			return nil, nil
		case c.Over():
			return nil, challenge.ErrExpired
		}
		if err := challenge.ConsumeTx(ctx, tx, c); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx,
			`UPDATE auth.challenges SET expires_at = now(), data = '{}'
			 WHERE user_id = $1 AND purpose = $2 AND created_at > $3 AND consumed_at IS NULL AND expires_at > now()`,
			u.ID, string(challenge.UndoChangeEmail), c.CreatedAt); err != nil {
			return nil, err
		}
		for _, purpose := range []challenge.Purpose{challenge.ChangeEmail, challenge.TrustedDevice} {
			if err := challenge.EndTx(ctx, tx, purpose, u.ID); err != nil {
				return nil, err
			}
		}
		cut, err := setEmailTx(ctx, tx, u, c.Address)
		if err != nil {
			return nil, err
		}
		u.Email, u.EmailVerified = c.Address, true
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "email_change_undone", UserID: u.ID, Client: client}); err != nil {
			return nil, err
		}
		if err := s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.AddressChangeUndone, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.now(),
		}); err != nil {
			return nil, err
		}
		revs, err := session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: u.ID, Client: client}, revocation.ReasonEmailChanged,
			`s.user_id = $1 AND s.revoked_at IS NULL`, u.ID)
		return append(revs, cut), err
	})
	if err == nil {
		s.mailer.Wake()
	}
	return u, err
}

// addressChallengeTx locks a challenge about an address, and its account. It fails
// with [challenge.ErrUnknown], or [challenge.ErrExpired] where the account is
// usable no more.
func addressChallengeTx(ctx context.Context, tx pgx.Tx, purpose challenge.Purpose, token string) (challenge.Challenge, User, error) {
	c, err := challenge.FindTx(ctx, tx, purpose, token)
	if err != nil {
		return c, User{}, err
	}
	u, err := account.LockTx(ctx, tx, c.UserID)
	if errors.Is(err, ErrUserNotFound) {
		err = challenge.ErrExpired
	}
	return c, u, err
}

// setEmailTx gives an account an address that has just been proven. What was
// mailed to the one before is worth nothing, and the tokens that name it are
// refused. It fails with [ErrEmailTaken].
func setEmailTx(ctx context.Context, tx pgx.Tx, u User, email string) (revocation.Revocation, error) {
	_, err := tx.Exec(ctx, `UPDATE auth.users SET email = $2, email_verified = true, updated_at = now() WHERE id = $1`, u.ID, email)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "23505" {
		return revocation.Revocation{}, ErrEmailTaken
	}
	if err != nil {
		return revocation.Revocation{}, err
	}
	for _, purpose := range []challenge.Purpose{challenge.VerifyEmail, challenge.ResetPassword, challenge.SignIn} {
		if err := challenge.EndTx(ctx, tx, purpose, u.ID); err != nil {
			return revocation.Revocation{}, err
		}
	}
	return revocation.CutUserTx(ctx, tx, u.ID, revocation.ReasonEmailChanged)
}
