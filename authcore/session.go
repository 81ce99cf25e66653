package authcore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/usertext"
)

const sessionColumns = `s.id, s.user_id, s.id AS token, s.parent_id, s.kind, s.persistent,
	s.created_at, s.updated_at, s.expires_at, s.last_activity_at,
	s.ip_address, s.user_agent, s.device_id, s.device_name, s.revoked_at, s.authenticated_at, s.amr,
	(SELECT m.organization_id` + activeMembership + `) AS active_organization_id, (SELECT m.role` + activeMembership + `) AS organization_role`

// activeMembership is what the user of a session is in the organisation that is its
// active one. Who has left it since has none, whatever the row says.
const activeMembership = ` FROM auth.members AS m WHERE m.organization_id = s.active_organization_id AND m.user_id = s.user_id`

// newSession is a session to be written. PasswordHash, where set, must still
// be the stored hash when the row is written, the parent still live, and the
// subject of the lockout not locked, whose wrong tries are forgotten then: a
// password change, sign-out or lock that overtakes a sign-in wins.
type newSession struct {
	UserID       string
	Kind         SessionKind
	Token        string // what auth.sessions.token holds
	FamilyID     string // empty for a browser session
	ParentID     *string
	PasswordHash *string
	Origin       string // of an exchange; a live session of it is taken up again
	Lockout      string // empty where no password was tried
	Persistent   bool
	TTL          time.Duration
	Methods      principal.Methods // of a sign-in; a derived session has its parent's
	Event        string
}

// createSession writes session, refresh family and event in one statement, and
// the mail about a new device, if there is one, with them.
// What is derived from another session began when that did, so that
// Config.SessionMaxAge counts from the sign-in, was authenticated as that was, and
// has its active organisation. It fails with
// [ErrInvalidCredentials] if the account, its password or the parent session
// changed meanwhile, or the account was locked.
func (s *Service) createSession(ctx context.Context, client principal.Client, n newSession) (Session, error) {
	e := audit.Event{Type: n.Event, UserID: n.UserID, Client: client}
	if client.DeviceID != "" {
		e.Metadata = map[string]any{"deviceId": audit.Clip(client.DeviceID, 255)}
	}
	id := ids.New()
	if n.Token == "" {
		n.Token = "id:" + id
	}
	var ses Session
	var tells bool
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) (err error) {
		ses, err = s.createSessionTx(ctx, tx, client, n, id, e)
		if tells = err == nil && n.Event == signedIn; !tells {
			return err
		}
		tells, err = s.tellNewDeviceTx(ctx, tx, client, ses)
		return err
	})
	if err == nil && tells {
		s.mailer.Wake()
	}
	return ses, notFound(err, ErrInvalidCredentials)
}

// signedIn is the event of a sign-in.
const signedIn = "login_success"

// createSessionTx is the statement of createSession.
func (s *Service) createSessionTx(ctx context.Context, tx pgx.Tx, client principal.Client, n newSession, id string, e audit.Event) (Session, error) {
	return dbscope.TxRow[Session](ctx, tx,
		`WITH began AS (
		   SELECT COALESCE(f.created_at, p.created_at, now()) AS at,
		     COALESCE(p.authenticated_at, now()) AS authenticated_at, COALESCE(p.amr, $19) AS amr,
		     (SELECT o.id FROM auth.organizations AS o WHERE o.id = p.active_organization_id FOR KEY SHARE) AS active_organization_id
		   FROM (VALUES (true)) AS always
		   LEFT JOIN auth.sessions AS p ON p.id = $5::text
		   LEFT JOIN auth.refresh_families AS f ON f.session_id = p.id),
		 s AS (
		   INSERT INTO auth.sessions (id, user_id, token, kind, parent_id, persistent, expires_at,
		     ip_address, user_agent, device_id, device_name, active_organization_id, origin, authenticated_at, amr)
		   SELECT $1, u.id, $3, $4, $5::text, $6,
		     LEAST(now() + make_interval(secs => $7::float8), began.at + make_interval(secs => $18::float8)),
		     NULLIF($8, ''), NULLIF($9, ''), NULLIF($10, ''), NULLIF($11, ''), began.active_organization_id, NULLIF($17, ''),
		     began.authenticated_at, began.amr
		   FROM auth.users AS u, began
		   WHERE u.id = $2 AND `+usable+`
		     AND ($12::text IS NULL OR EXISTS (
		       SELECT 1 FROM auth.accounts AS a
		       WHERE a.user_id = u.id AND a.provider_id = 'credential' AND a.password = $12 FOR SHARE))
		     AND `+notLocked("$16")+`
		     AND ($5::text IS NULL OR EXISTS (
		       SELECT 1 FROM auth.sessions AS p WHERE p.id = $5 AND p.revoked_at IS NULL FOR SHARE))
		   FOR SHARE OF u
		   ON CONFLICT (parent_id, origin) WHERE revoked_at IS NULL AND origin IS NOT NULL DO UPDATE
		   SET last_activity_at = now(), updated_at = now(), expires_at = GREATEST(sessions.expires_at, excluded.expires_at),
		     ip_address = COALESCE(excluded.ip_address, sessions.ip_address), user_agent = COALESCE(excluded.user_agent, sessions.user_agent),
		     active_organization_id = excluded.active_organization_id,
		     authenticated_at = excluded.authenticated_at, amr = excluded.amr
		   RETURNING *),
		 family AS (
		   INSERT INTO auth.refresh_families (id, session_id, user_id, expires_at, created_at)
		   SELECT $13::text, s.id, s.user_id, s.expires_at, began.at FROM s, began WHERE $13::text <> ''),
		 recorded AS (
		   INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		   SELECT s.user_id, $14::text, s.ip_address, s.user_agent, $15::text::jsonb FROM s),
		 unlocked AS (
		   DELETE FROM auth.lockouts AS l WHERE l.subject = $16 AND EXISTS (SELECT FROM s))
		 SELECT `+sessionColumns+` FROM s`,
		id, n.UserID, n.Token, string(n.Kind), n.ParentID, n.Persistent, n.TTL.Seconds(),
		client.Network(), client.Agent(), audit.Clip(client.DeviceID, 255), usertext.Clean(client.DeviceName, 255),
		n.PasswordHash, n.FamilyID, e.Type, e.Args()[4], n.Lockout, audit.Clip(n.Origin, 255), s.cfg.SessionMaxAge.Seconds(), string(n.Methods))
}

// revoke ends the live sessions that the condition on `s` selects, with those
// that were derived from them, and announces it. It returns how many ended.
func (s *Service) revoke(ctx context.Context, e audit.Event, reason, condition string, args ...any) (int, error) {
	return s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		return revokeTx(ctx, tx, e, reason, condition, args...)
	})
}

// cutting runs a transaction that revokes, and announces what it revoked when
// that is committed. Should two that revoke many sessions meet head-on, the
// loser tries again.
func (s *Service) cutting(ctx context.Context, fn func(context.Context, pgx.Tx) ([]revocation.Revocation, error)) (int, error) {
	var revs []revocation.Revocation
	try := func() error {
		return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) (err error) {
			revs, err = fn(ctx, tx)
			return err
		})
	}
	err := try()
	if isDeadlock(err) {
		err = try()
	}
	if err != nil {
		return 0, err
	}
	s.announce(revs...)
	return len(revs), nil
}

// revokeTx is revoke within a transaction.
func revokeTx(ctx context.Context, tx pgx.Tx, e audit.Event, reason, condition string, args ...any) ([]revocation.Revocation, error) {
	ended, err := revokeSeenTx(ctx, tx, e, reason, condition, args...)
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	// A session that was being derived from one of them held it locked until
	// it was there, unseen by the statement that waited. From now on none can.
	ids := make([]string, len(ended))
	for i, rev := range ended {
		ids[i] = *rev.SessionID
	}
	late, err := revokeSeenTx(ctx, tx, e, reason, `s.id = ANY($1::text[])`, ids)
	if err == nil {
		err = audit.RecordAdminTx(ctx, tx, e)
	}
	return append(ended, late...), err
}

// revokeSeenTx ends what is there when it begins. Families are locked before
// sessions, as in [Service.Refresh].
func revokeSeenTx(ctx context.Context, tx pgx.Tx, e audit.Event, reason, condition string, args ...any) ([]revocation.Revocation, error) {
	args = append(args, reason)
	args = append(args, e.Args()...)
	n := len(args) - 6
	statement := `
		WITH chosen AS MATERIALIZED (
		  SELECT s.id FROM auth.sessions AS s WHERE ` + condition + `),
		dead AS MATERIALIZED (
		  SELECT s.id FROM auth.sessions AS s
		  WHERE s.revoked_at IS NULL
		    AND (s.id IN (SELECT id FROM chosen) OR s.parent_id IN (SELECT id FROM chosen))),
		families AS (
		  UPDATE auth.refresh_families AS f
		  SET revoked_at = now(), revoked_reason = ` + arg(n+1) + `::text
		  WHERE f.session_id IN (SELECT id FROM dead) AND f.revoked_at IS NULL
		  RETURNING f.id),
		ended AS (
		  UPDATE auth.sessions AS s
		  SET revoked_at = now(), updated_at = now()
		  WHERE s.id IN (SELECT id FROM dead) AND s.revoked_at IS NULL
		    AND (SELECT count(*) FROM families) >= 0
		  RETURNING s.id, s.user_id),
		recorded AS (
		  INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		  SELECT e.user_id, ` + arg(n+3) + `::text, NULLIF(` + arg(n+4) + `::text, ''),
		    NULLIF(` + arg(n+5) + `::text, ''),
		    COALESCE(` + arg(n+6) + `::text::jsonb, '{}') || jsonb_build_object('sessions', e.sessions, 'cause', ` + arg(n+1) + `::text)
		  FROM (
		    SELECT COALESCE(NULLIF(` + arg(n+2) + `::text, ''), ended.user_id) AS user_id, count(*) AS sessions
		    FROM ended GROUP BY 1) AS e)
		INSERT INTO auth.revocations (user_id, session_id, reason)
		SELECT user_id, id, ` + arg(n+1) + `::text FROM ended
		RETURNING ` + revocationColumns
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[revocation.Revocation])
}

// arg is the placeholder of the nth argument.
func arg(n int) string { return "$" + strconv.Itoa(n) }

func isDeadlock(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "40P01"
}

// Session reads the caller's own account and session, or [ErrNoSession].
func (s *Service) Session(ctx context.Context, c principal.Caller) (User, Session, error) {
	u, err := s.userByID(ctx, c)
	if err != nil {
		if errors.Is(err, ErrUserNotFound) {
			err = ErrNoSession
		}
		return User{}, Session{}, err
	}
	ses, err := dbscope.One[Session](ctx, s.db, scopeOf(c),
		`SELECT `+sessionColumns+`
		 FROM auth.sessions AS s
		 WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > now()`, c.SessionID, c.UserID)
	return u, ses, notFound(err, ErrNoSession)
}

const liveSessionsOf = `SELECT ` + sessionColumns + `
	FROM auth.sessions AS s
	WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now()
	ORDER BY s.last_activity_at DESC NULLS LAST, s.id`

// Sessions lists the caller's live sessions, the last used first.
func (s *Service) Sessions(ctx context.Context, c principal.Caller) ([]Session, error) {
	return dbscope.List[Session](ctx, s.db, scopeOf(c), liveSessionsOf, c.UserID)
}

// RevokeSession ends one of the caller's sessions and those derived from it.
// It fails with [ErrSessionNotFound] for another user's or an ended one.
func (s *Service) RevokeSession(ctx context.Context, c principal.Caller, id string) error {
	n, err := s.revoke(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"sessionId": audit.Clip(id, 64)}},
		reasonRevoked, `s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL`, id, c.UserID)
	if err == nil && n == 0 {
		return ErrSessionNotFound
	}
	return err
}

// othersThan selects a user's live sessions that are not among those kept, nor
// derived from one of them.
const othersThan = `s.user_id = $1 AND s.revoked_at IS NULL
	AND s.id <> ALL($2::text[]) AND (s.parent_id IS NULL OR s.parent_id <> ALL($2::text[]))`

// keptWith names the caller's session and the browser session it came from:
// they are one device, and end together.
func (s *Service) keptWith(ctx context.Context, c principal.Caller) ([]string, error) {
	type kept struct{ ID string }
	list, err := dbscope.List[kept](ctx, s.db, scopeOf(c),
		`SELECT $1::text AS id
		 UNION
		 SELECT s.parent_id FROM auth.sessions AS s WHERE s.id = $1 AND s.user_id = $2 AND s.parent_id IS NOT NULL`,
		c.SessionID, c.UserID)
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i] = k.ID
	}
	return ids, err
}

// RevokeOtherSessions ends every session of the caller but their own and the
// browser session it came from. It returns how many ended.
func (s *Service) RevokeOtherSessions(ctx context.Context, c principal.Caller) (int, error) {
	keep, err := s.keptWith(ctx, c)
	if err != nil {
		return 0, err
	}
	return s.revoke(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"all": "others"}},
		reasonRevoked, othersThan, c.UserID, keep)
}

// RevokeAllSessions ends every session of the caller, the one they act from
// included. It returns how many ended.
func (s *Service) RevokeAllSessions(ctx context.Context, c principal.Caller) (int, error) {
	return s.revokeAll(ctx, audit.Event{Type: "session_revoked", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"all": "everywhere"}})
}

// revokeAll ends every session of the event's user, and no device is trusted any
// more.
func (s *Service) revokeAll(ctx context.Context, e audit.Event) (int, error) {
	return s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := challenge.EndTx(ctx, tx, challenge.TrustedDevice, e.UserID); err != nil {
			return nil, err
		}
		return revokeTx(ctx, tx, e, reasonRevoked, `s.user_id = $1 AND s.revoked_at IS NULL`, e.UserID)
	})
}
