package authcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
)

// erasures are what is done with the rows of a user who leaves, in order: $1 is
// the user, $2 the address. What stays behind names the id alone, for the ledger
// and the events to point at.
var erasures = []struct {
	sql   string
	email bool // needs $2
}{
	{sql: `DELETE FROM auth.accounts WHERE user_id = $1`},
	{sql: `DELETE FROM auth.passwords WHERE user_id = $1`},
	{sql: `DELETE FROM auth.two_factor_auth WHERE user_id = $1`},
	{sql: `DELETE FROM auth.passkeys WHERE user_id = $1`},
	{sql: `DELETE FROM auth.user_settings WHERE user_id = $1`},
	{sql: `DELETE FROM auth.challenges WHERE user_id = $1`},
	{sql: `DELETE FROM auth.provider_flows WHERE user_id = $1`},
	{sql: `DELETE FROM auth.api_keys WHERE user_id = $1`},
	{sql: `DELETE FROM auth.matrix_user_links WHERE user_id = $1`},
	{sql: `DELETE FROM auth.oauth_access_tokens WHERE user_id = $1`},
	{sql: `DELETE FROM auth.oauth_authorization_codes WHERE user_id = $1`},
	{sql: `DELETE FROM auth.oauth_consents WHERE user_id = $1`},
	{sql: `DELETE FROM auth.oauth_device_codes WHERE user_id = $1`},
	{sql: `UPDATE auth.sessions
		SET ip_address = NULL, user_agent = NULL, device_id = NULL, device_name = NULL, refresh_token = NULL, updated_at = now()
		WHERE user_id = $1`},
	{sql: `DELETE FROM auth.verification WHERE identifier = $2 OR value = $1 OR right(identifier, length($2) + 1) = '-' || $2`, email: true},
	{sql: `DELETE FROM auth.challenges WHERE user_id IS NULL AND address = $2 AND $1 <> ''`, email: true},
	{sql: `DELETE FROM auth.invitations WHERE email = $2 AND $1 <> ''`, email: true},
}

// erased is a user as they were, who is cut off because an organisation is theirs
// now, and the organisations that are gone with them.
type erased struct {
	User
	inherited []revocation.Revocation
	dissolved []string
}

// eraseTx erases what tells who a user was. It fails with [ErrUserNotFound] for
// who has left already.
func (s *Service) eraseTx(ctx context.Context, tx pgx.Tx, userID string) (erased, error) {
	if _, err := organization.LockAllOfTx(ctx, tx, userID); err != nil {
		return erased{}, err
	}
	list, err := tx.Query(ctx, `SELECT `+account.Columns+` FROM auth.users AS u WHERE u.id = $1 AND u.deleted_at IS NULL FOR UPDATE`, userID)
	if err != nil {
		return erased{}, err
	}
	u, err := pgx.CollectExactlyOneRow(list, pgx.RowToStructByName[User])
	if err != nil {
		return erased{}, account.NotFound(err, ErrUserNotFound)
	}
	gone := erased{User: u}
	if gone.inherited, gone.dissolved, err = s.PassOnTx(ctx, tx, u.ID); err != nil {
		return erased{}, err
	}
	for _, e := range erasures {
		args := []any{u.ID}
		if e.email {
			args = append(args, u.Email)
		}
		if _, err := tx.Exec(ctx, e.sql, args...); err != nil {
			return erased{}, err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM auth.lockouts WHERE subject = $1`, lockout.Subject(u.Email, "")); err != nil {
		return erased{}, err
	}
	if _, err := tx.Exec(ctx,
		`UPDATE auth.users
		 SET deleted_at = now(), updated_at = now(), name = '', image = NULL, email_verified = false,
		   email = 'deleted-' || lower(id) || '@deleted.invalid'
		 WHERE id = $1`, u.ID); err != nil {
		return erased{}, err
	}
	// Events of an account that is there are not to be changed.
	if _, err := tx.Exec(ctx,
		`UPDATE auth.security_events
		 SET ip_address = NULL, user_agent = NULL, metadata = NULL
		 WHERE user_id = $1`, u.ID); err != nil {
		return erased{}, err
	}
	return gone, s.hooks.EraseTx(ctx, tx, u)
}

// departure is how somebody leaves: by themselves or by an operator, for what
// reason, and whether without a mail.
type departure struct {
	By     principal.Operator
	Reason string
	Quiet  bool
}

// leave closes an account for ever: every session ends, what tells who its
// owner was is erased, and the row remains without it for the ledger to point
// at. The address is free again. Organisations that they alone owned go to the
// oldest admin, else to the oldest member; those without another member are
// deleted.
func (s *Service) leave(ctx context.Context, userID string, d departure) error {
	metadata := map[string]any{"deletedAt": s.now().UTC().Format(time.RFC3339Nano)}
	if d.Reason != "" {
		metadata["reason"] = d.Reason
	}
	var u erased
	// Where they went from is personal, too: the event has no client.
	err := s.closeAccount(ctx, userID, revocation.ReasonDeleted, audit.Event{Type: "account_deleted", UserID: userID, By: d.By, Metadata: metadata},
		func(ctx context.Context, tx pgx.Tx) error {
			language, err := preference.LanguageTx(ctx, tx, userID) // is erased with the rest
			if err != nil {
				return err
			}
			u, err = s.eraseTx(ctx, tx, userID)
			if err != nil || d.Quiet || !u.EmailVerified {
				return err // the address may be somebody else's
			}
			return s.mailer.PutTx(ctx, tx, notice.Notice{
				Kind: notice.AccountDeleted, UserID: u.ID, To: u.Email, Name: u.Name, Language: language, At: s.now(),
			})
		})
	if err == nil {
		s.Announce(u.inherited...)
		s.mailer.Wake()
		s.hooks.Deleted(context.WithoutCancel(ctx), userID)
		for _, id := range u.dissolved {
			s.hooks.Dissolved(context.WithoutCancel(ctx), id)
		}
	}
	return err
}
