package session

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/usertext"
)

// New is a session to be written. PasswordHash, where set, must still
// be the stored hash when the row is written, the parent still live, and the
// subject of the lockout not locked, whose wrong tries are forgotten then: a
// password change, sign-out or lock that overtakes a sign-in wins.
type New struct {
	UserID       string
	Kind         Kind
	Token        string // what auth.sessions.token holds
	FamilyID     string // empty for a browser session
	ParentID     *string
	PasswordHash *string
	Origin       string // of an exchange; a live session of it is taken up again
	Lockout      string // empty where no password was tried
	Persistent   bool
	TTL          time.Duration
	Methods      principal.Methods // of a sign-in; a derived session has its parent's
	ClientID     string            // of a Client, with Scopes
	Scopes       string
	Provider     string // that was signed in with, if any
	Event        string
}

// Create writes session, refresh family and event in one statement, and
// the mail about a new device, if there is one, with them.
// What is derived from another session began when that did, so that
// MaxAge counts from the sign-in, was authenticated as that was, and
// has its active organisation. It fails with
// [account.ErrInvalidCredentials] if the account, its password or the parent session
// changed meanwhile, or the account was locked.
func (s *Store) Create(ctx context.Context, client principal.Client, n New) (Session, error) {
	e := audit.Event{Type: n.Event, UserID: n.UserID, Client: client}
	if client.DeviceID != "" {
		e.Metadata = map[string]any{"deviceId": audit.Clip(client.DeviceID, 255)}
	}
	if n.Provider != "" {
		if e.Metadata == nil {
			e.Metadata = make(map[string]any)
		}
		e.Metadata["provider"] = n.Provider
	}
	id := ids.New()
	if n.Token == "" {
		n.Token = "id:" + id
	}
	var ses Session
	var tells bool
	err := s.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) (err error) {
		ses, err = s.CreateTx(ctx, tx, client, n, id, e)
		if tells = err == nil && n.Event == SignedIn; !tells {
			return err
		}
		tells, err = s.tellNewDeviceTx(ctx, tx, client, ses)
		return err
	})
	if err == nil && tells {
		s.Mailer.Wake()
	}
	return ses, account.NotFound(err, account.ErrInvalidCredentials)
}

// SignedIn is the event of a sign-in.
const SignedIn = "login_success"

// CreateTx is the statement of Create.
func (s *Store) CreateTx(ctx context.Context, tx pgx.Tx, client principal.Client, n New, id string, e audit.Event) (Session, error) {
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
		     ip_address, user_agent, device_id, device_name, active_organization_id, origin, authenticated_at, amr, client_id, scopes)
		   SELECT $1, u.id, $3, $4, $5::text, $6,
		     LEAST(now() + make_interval(secs => $7::float8), began.at + make_interval(secs => $18::float8)),
		     NULLIF($8, ''), NULLIF($9, ''), NULLIF($10, ''), NULLIF($11, ''), began.active_organization_id, NULLIF($17, ''),
		     began.authenticated_at, began.amr, NULLIF($20, ''), CASE WHEN $20 <> '' THEN $21 END
		   FROM auth.users AS u, began
		   WHERE u.id = $2 AND `+account.Usable+`
		     AND ($12::text IS NULL OR EXISTS (
		       SELECT 1 FROM auth.accounts AS a
		       WHERE a.user_id = u.id AND a.provider_id = 'credential' AND a.password = $12 FOR SHARE))
		     AND `+lockout.NotLocked("$16")+`
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
		   INSERT INTO auth.refresh_families (id, session_id, user_id, expires_at, created_at, client_id)
		   SELECT $13::text, s.id, s.user_id, s.expires_at, began.at, s.client_id FROM s, began WHERE $13::text <> ''),
		 recorded AS (
		   INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		   SELECT s.user_id, $14::text, s.ip_address, s.user_agent, $15::text::jsonb FROM s),
		 unlocked AS (
		   DELETE FROM auth.lockouts AS l WHERE l.subject = $16 AND EXISTS (SELECT FROM s))
		 SELECT `+Columns+` FROM s`,
		id, n.UserID, n.Token, string(n.Kind), n.ParentID, n.Persistent, n.TTL.Seconds(),
		client.Network(), client.Agent(), audit.Clip(client.DeviceID, 255), usertext.Clean(client.DeviceName, 255),
		n.PasswordHash, n.FamilyID, e.Type, e.Args()[4], n.Lockout, audit.Clip(n.Origin, 255), s.MaxAge.Seconds(), string(n.Methods),
		n.ClientID, n.Scopes)
}
