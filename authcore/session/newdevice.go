package session

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// tellNewDeviceTx mails that a device has signed in which had not done so before,
// and reports whether it did. Nothing is to be told of the first sign-in of an
// account, to an address that nobody has proven, or to who does not want to know.
// A client that names no device is known by its User-Agent.
func (s *Store) tellNewDeviceTx(ctx context.Context, tx pgx.Tx, client principal.Client, ses Session) (bool, error) {
	u, err := dbscope.TxRow[account.User](ctx, tx,
		`SELECT `+account.Columns+`
		 FROM auth.users AS u
		 WHERE u.id = $1 AND u.email_verified
		   AND EXISTS (SELECT FROM auth.sessions AS s WHERE s.user_id = u.id AND s.id <> $2)
		   AND NOT EXISTS (
		     SELECT FROM auth.sessions AS s
		     WHERE s.user_id = u.id AND s.id <> $2
		       AND CASE WHEN $3::text IS NULL THEN s.user_agent IS NOT DISTINCT FROM $4::text ELSE s.device_id = $3 END)
		   AND NOT EXISTS (
		     SELECT FROM auth.user_settings AS x
		     WHERE x.user_id = u.id AND x.global_settings #>> '{notices,newDevice}' = 'false')`,
		ses.UserID, ses.ID, ses.DeviceID, ses.UserAgent)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.Mailer.PutTx(ctx, tx, notice.Notice{Kind: notice.NewDevice, UserID: u.ID, To: u.Email, Name: u.Name, Client: client, At: s.Now()})
}
