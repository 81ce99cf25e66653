package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// passwordTries is how many wrong passwords lock an account.
const passwordTries = 10

// tellLockedTx mails whoever has proven the address of an account that it was
// locked, at the first time within a day: strangers must not fill a mailbox.
func (s *Service) tellLockedTx(ctx context.Context, tx pgx.Tx, client principal.Client, userID string, n lockout.Try) error {
	if !n.LockedNow || n.Locks > 1 || userID == "" {
		return nil
	}
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+account.Columns+` FROM auth.users AS u WHERE u.id = $1 AND u.email_verified AND `+account.Usable, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.mailer.PutTx(ctx, tx, notice.Notice{Kind: notice.AccountLocked, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.now()})
}

// rejected counts and reports a wrong password for an account, which is named
// as it was given, and returns [ErrInvalidCredentials]; an err of verifying
// comes back as it is.
func (s *Service) rejected(ctx context.Context, client principal.Client, userID, account, subject string, err error) error {
	if err != nil {
		return err
	}
	var n lockout.Try
	err = s.mail(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if n, err = lockout.CountTx(ctx, tx, client, subject, userID, passwordTries, "login_failed"); err != nil {
			return err
		}
		return s.tellLockedTx(ctx, tx, client, userID, n)
	})
	if err != nil {
		s.log.Error("a wrong password was not counted", "error", err)
		return err
	}
	s.observeSignIn("invalid")
	s.log.Warn("sign-in failed", "account", account, "user", userID, "address", client.Network(), "tries", n.Tries, "locked", n.LockedNow)
	return ErrInvalidCredentials
}
