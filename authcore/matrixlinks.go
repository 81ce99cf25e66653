package authcore

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/matrix"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// matrixSessionTTL is how long the session lives that a bot acts in, after it
// asked for it the last time.
const matrixSessionTTL = 24 * time.Hour

// ClaimMatrixID links a Matrix id to the caller's account, unless it is somebody
// else's. It fails with [matrix.ErrTaken], [matrix.ErrID] or [ErrUserNotFound].
func (s *Service) ClaimMatrixID(ctx context.Context, c principal.Caller, matrixUserID, email string) error {
	return s.linkMatrixID(ctx, c, matrixUserID, email, matrix.Claim, nil)
}

// LinkMatrixID links a Matrix id to an account as the back end says, whosever it
// was. backEnd names its service key in the event; c is whom it acts for. It fails
// with [matrix.ErrID] or [ErrUserNotFound].
func (s *Service) LinkMatrixID(ctx context.Context, c principal.Caller, matrixUserID, email, backEnd string) error {
	return s.linkMatrixID(ctx, c, matrixUserID, email, matrix.Service, map[string]any{"serviceKey": backEnd})
}

// LinkMatrixByToken links a Matrix id to the caller's account where the server of
// the id confirms by an OpenID token of it that the caller has the id. It fails
// with [matrix.ErrTaken] where the id is another user's who has more than claimed
// it, and as [matrix.Servers.Confirm].
func (s *Service) LinkMatrixByToken(ctx context.Context, c principal.Caller, matrixUserID, email string, token matrix.OpenIDToken) error {
	if err := s.servers.Confirm(ctx, matrixUserID, token); err != nil {
		return err
	}
	return s.linkMatrixID(ctx, c, matrixUserID, email, matrix.SignIn, nil)
}

// LinkMatrixBySignIn links the Matrix id of a user who signed in to a Matrix server
// through us: the local part of their proven address, in lower case, at the host of the
// server's redirect address. It fails with [matrix.ErrTaken] where the id is another
// user's who has more than claimed it, or with [matrix.ErrID].
func (s *Service) LinkMatrixBySignIn(ctx context.Context, client principal.Client, u User, redirectURI string) error {
	local, _, ok := strings.Cut(u.Email, "@")
	server, err := url.Parse(redirectURI)
	if !ok || err != nil || !u.EmailVerified {
		return matrix.ErrID
	}
	id := "@" + strings.ToLower(local) + ":" + server.Hostname()
	return s.linkMatrixID(ctx, principal.Caller{UserID: u.ID, Client: client}, id, u.Email, matrix.SignIn, nil)
}

func (s *Service) linkMatrixID(ctx context.Context, c principal.Caller, matrixUserID, email string, proof matrix.Proof, by map[string]any) error {
	if err := matrix.CheckID(matrixUserID); err != nil {
		return err
	}
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) (ended []revocation.Revocation, err error) {
		u, err := account.LockTx(ctx, tx, c.UserID)
		if err != nil {
			return nil, err
		}
		before, err := matrix.LinkTx(ctx, tx, matrixUserID, u.ID, audit.Clip(email, 255), proof)
		if err != nil || before == u.ID {
			return nil, err
		}
		if before != "" {
			if err := recordMatrixTx(ctx, tx, "matrix_unlinked", before, c.Client, matrixUserID, by); err != nil {
				return nil, err
			}
			if ended, err = s.endMatrixSessionsTx(ctx, tx, before, c.Client, matrixUserID); err != nil {
				return nil, err
			}
		}
		return ended, recordMatrixTx(ctx, tx, "matrix_linked", u.ID, c.Client, matrixUserID, by)
	})
	return err
}

func recordMatrixTx(ctx context.Context, tx pgx.Tx, event, userID string, client principal.Client, matrixUserID string, by map[string]any) error {
	metadata := map[string]any{"matrixUserId": matrixUserID}
	for name, value := range by {
		metadata[name] = value
	}
	return audit.RecordTx(ctx, tx, audit.Event{Type: event, UserID: userID, Client: client, Metadata: metadata})
}

// UnlinkMatrixID ends the link of a Matrix id to the caller's account, and the
// sessions of bots by it. It fails with [matrix.ErrNotLinked], for another's too.
func (s *Service) UnlinkMatrixID(ctx context.Context, c principal.Caller, matrixUserID string) error {
	return s.unlinkMatrixID(ctx, c.UserID, c.Client, matrixUserID, nil)
}

// UnlinkAnyMatrixID is [Service.UnlinkMatrixID] of anybody's, for a back end.
func (s *Service) UnlinkAnyMatrixID(ctx context.Context, client principal.Client, matrixUserID, backEnd string) error {
	return s.unlinkMatrixID(ctx, "", client, matrixUserID, map[string]any{"serviceKey": backEnd})
}

func (s *Service) unlinkMatrixID(ctx context.Context, userID string, client principal.Client, matrixUserID string, by map[string]any) error {
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		l, err := matrix.UnlinkTx(ctx, tx, matrixUserID, userID)
		if err != nil {
			return nil, err
		}
		if err := recordMatrixTx(ctx, tx, "matrix_unlinked", l.UserID, client, matrixUserID, by); err != nil {
			return nil, err
		}
		return s.endMatrixSessionsTx(ctx, tx, l.UserID, client, matrixUserID)
	})
	return err
}

// endMatrixSessionsTx ends the sessions in which bots act for a user by an id.
func (s *Service) endMatrixSessionsTx(ctx context.Context, tx pgx.Tx, userID string, client principal.Client, matrixUserID string) ([]revocation.Revocation, error) {
	return session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: userID, Client: client}, revocation.ReasonRevoked,
		`s.user_id = $1 AND s.device_id = $2 AND s.revoked_at IS NULL`, userID, matrixDevice(matrixUserID))
}

// matrixDevice is the device of the session of a bot.
func matrixDevice(matrixUserID string) string { return audit.Clip("matrix:"+matrixUserID, 255) }

// MatrixUser is whose account is linked to a Matrix id. It fails with
// [matrix.ErrNotLinked], for a user who is gone or disabled too.
func (s *Service) MatrixUser(ctx context.Context, matrixUserID string) (User, error) {
	u, err := dbscope.One[User](ctx, s.db, system(),
		`SELECT `+account.Columns+`
		 FROM auth.matrix_user_links AS l JOIN auth.users AS u ON u.id = l.user_id
		 WHERE l.matrix_user_id = $1 AND `+account.Usable, matrixUserID)
	return u, account.NotFound(err, matrix.ErrNotLinked)
}

// MatrixSession gives an access token to a bot for the user whose account is
// linked to a Matrix id. Its session is shown to the user, who can end it, and
// proves nobody's presence: nothing that wants a recent proof goes by it. Of an
// admin it has the role of a user. It fails with [matrix.ErrNotLinked].
func (s *Service) MatrixSession(ctx context.Context, client principal.Client, matrixUserID, bot, backEnd string) (accessToken string, u User, err error) {
	var ses Session
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		l, err := matrix.UseTx(ctx, tx, matrixUserID)
		if err != nil {
			return err
		}
		if u, err = account.LockTx(ctx, tx, l.UserID); err != nil {
			return notFoundAs(err, ErrUserNotFound, matrix.ErrNotLinked)
		}
		// A bot asks every few minutes: it acts in one session until that ends.
		ses, err = dbscope.TxRow[Session](ctx, tx,
			`UPDATE auth.sessions AS s SET last_activity_at = now(), expires_at = now() + make_interval(secs => $4)
			 WHERE s.id = (
			   SELECT x.id FROM auth.sessions AS x
			   WHERE x.user_id = $1 AND x.device_id = $2 AND x.device_name = $3 AND x.kind = 'app' AND x.revoked_at IS NULL AND x.expires_at > now()
			     AND x.created_at > now() - make_interval(secs => $5)
			   ORDER BY x.created_at DESC LIMIT 1)
			 RETURNING `+session.Columns, u.ID, matrixDevice(matrixUserID), bot, matrixSessionTTL.Seconds(), s.cfg.SessionMaxAge.Seconds())
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		id := ids.New()
		ses, err = dbscope.TxRow[Session](ctx, tx,
			`INSERT INTO auth.sessions AS s (id, user_id, token, kind, expires_at, ip_address, user_agent, device_id, device_name, authenticated_at, amr)
			 VALUES ($1, $2, 'id:' || $1, 'app', now() + make_interval(secs => $3), NULLIF($4, ''), NULLIF($5, ''), $6, $7, 'epoch', '')
			 RETURNING `+session.Columns, id, u.ID, matrixSessionTTL.Seconds(), client.Network(), client.Agent(), matrixDevice(matrixUserID), bot)
		if err != nil {
			return err
		}
		return recordMatrixTx(ctx, tx, "matrix_session", u.ID, client, matrixUserID, map[string]any{"serviceKey": backEnd, "sessionId": ses.ID})
	})
	if err != nil {
		return "", User{}, err
	}
	who := u
	who.Role, ses.AuthenticatedAt = principal.RoleUser, time.Time{} // nobody showed who they are
	accessToken, err = s.AccessToken(who, ses)
	return accessToken, u, err
}

// notFoundAs turns one sentinel into another.
func notFoundAs(err, from, to error) error {
	if errors.Is(err, from) {
		return to
	}
	return err
}
