package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/internal/dbscope"
)

// TellTx mails a user what a part around the core has to tell them, in the caller's
// transaction and the scope of the system, and reports whether it did. Nothing is
// told to an account that is closed or disabled, to an address that nobody has
// proven, and of what the user does not want to know. UserID of the notice says
// whom; address, name and language are the account's. After the commit comes
// [Service.WakeMailer].
func (s *Service) TellTx(ctx context.Context, tx pgx.Tx, n notice.Notice) (bool, error) {
	u, err := dbscope.TxRow[account.User](ctx, tx,
		`SELECT `+account.Columns+`
		 FROM auth.users AS u
		 WHERE u.id = $1 AND u.email_verified AND `+account.Usable+`
		   AND NOT ($2 AND EXISTS (
		     SELECT FROM auth.user_settings AS x
		     WHERE x.user_id = u.id AND x.global_settings #>> '{notices,credits}' = 'false'))`, n.UserID, n.Kind.OfCredits())
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n.To, n.Name = u.Email, u.Name
	return true, s.mailer.PutTx(ctx, tx, n)
}

// WakeMailer says that a transaction with a notice has committed.
func (s *Service) WakeMailer() { s.mailer.Wake() }

// Managing is an organisation and who manages it.
type Managing struct {
	Name     string
	Managers []string // ids of its owners and admins
}

// ManagingTx is who manages an organisation, in the caller's transaction and the
// scope of the system: nobody where there is none of the id.
func (s *Service) ManagingTx(ctx context.Context, tx pgx.Tx, organizationID string) (Managing, error) {
	m, err := dbscope.TxRow[Managing](ctx, tx,
		`SELECT o.name, coalesce((
		   SELECT array_agg(m.user_id ORDER BY m.user_id) FROM auth.members AS m
		   WHERE m.organization_id = o.id AND m.role IN ('owner', 'admin')), '{}') AS managers
		 FROM auth.organizations AS o
		 WHERE o.id = $1`, organizationID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Managing{}, nil
	}
	return m, err
}

// APIKeyNameTx is what the owner of an API key calls it, empty where it is gone.
func (s *Service) APIKeyNameTx(ctx context.Context, tx pgx.Tx, id string) (string, error) {
	k, err := dbscope.TxRow[struct{ Name string }](ctx, tx, `SELECT k.name FROM auth.api_keys AS k WHERE k.id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return k.Name, err
}
