package authcore

import (
	"context"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/refreshtoken"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// refreshRow is what the one statement of [Service.Refresh] decided.
type refreshRow struct {
	session.WithUser
	Counter   int64
	Usable    bool
	Expired   bool
	Revoked   bool
	ReusedNow bool
	Fresh     bool
	CutID     *int64
	CutAt     *time.Time
}

// refreshSQL decides a presented generation ($2) of a family ($1) against the
// family's counter, under the family's row lock, so that however requests
// interleave there is one successor. The clock is the database's, which all
// edges share.
//
//	generation = counter                      advance
//	generation = counter − 1, within grace    the same successor again
//	anything older                            reuse: the family ends
//
// An imported token, $9, that is older is over, and no more than that: the replaced
// service gave one to several apps, which do not know of each other.
//
// $3 is the grace and $4 the lifetime in seconds, $5 the longest life of a
// family in seconds, $6 and $7 the presenter's address and agent, $8 the OpenID client
// whose family it must be, empty for one of the family's own apps.
const refreshSQL = `
	WITH family AS (
	  UPDATE auth.refresh_families AS f
	  SET (counter, rotated_at, expires_at) = (
	      SELECT
	        CASE WHEN d.advances THEN f.counter + 1 ELSE f.counter END,
	        CASE WHEN d.advances THEN clock_timestamp() ELSE f.rotated_at END,
	        CASE WHEN d.advances
	          THEN LEAST(now() + make_interval(secs => $4::float8), f.created_at + make_interval(secs => $5::float8))
	          ELSE f.expires_at END
	      FROM (SELECT f.revoked_at IS NULL AND f.counter = $2::bigint AND f.expires_at > clock_timestamp()
	        AND ` + account.Usable + ` AND NOT EXISTS (
	          SELECT FROM auth.sessions AS x WHERE x.id = f.session_id AND x.revoked_at IS NOT NULL) AS advances) AS d),
	    (revoked_at, revoked_reason) = (
	      SELECT
	        CASE WHEN d.reused THEN clock_timestamp() ELSE f.revoked_at END,
	        CASE WHEN d.reused THEN 'refresh_reuse' ELSE f.revoked_reason END
	      FROM (SELECT NOT $9::bool AND f.revoked_at IS NULL AND (f.counter > $2::bigint + 1 OR (f.counter = $2::bigint + 1
	        AND clock_timestamp() >= f.rotated_at + make_interval(secs => $3::float8))) AS reused) AS d)
	  FROM auth.users AS u
	  WHERE f.id = $1 AND u.id = f.user_id AND f.client_id IS NOT DISTINCT FROM NULLIF($8, '')
	  RETURNING f.*, f.revoked_at >= statement_timestamp() AND f.revoked_reason = 'refresh_reuse' AS reused_now),
	touched AS (
	  UPDATE auth.sessions AS s
	  SET last_activity_at = now(), updated_at = now(), expires_at = GREATEST(s.expires_at, family.expires_at),
	    ip_address = COALESCE(NULLIF($6::text, ''), s.ip_address),
	    user_agent = COALESCE(NULLIF($7::text, ''), s.user_agent),
	    revoked_at = CASE WHEN family.reused_now THEN now() ELSE s.revoked_at END
	  FROM family
	  WHERE s.id = family.session_id AND (family.reused_now OR family.rotated_at >= statement_timestamp())),
	cut AS (
	  INSERT INTO auth.revocations (user_id, session_id, reason)
	  SELECT family.user_id, family.session_id, 'refresh_reuse' FROM family WHERE family.reused_now
	  RETURNING id, created_at),
	recorded AS (
	  INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
	  SELECT family.user_id, 'refresh_reuse', NULLIF($6::text, ''), NULLIF($7::text, ''),
	    jsonb_build_object('sessionId', family.session_id, 'generation', $2::bigint, 'counter', family.counter)
	  FROM family WHERE family.reused_now)
	SELECT ` + session.Columns + `, ` + session.UserColumns + `,
	  family.counter, ` + account.Usable + ` AS usable, family.expires_at <= clock_timestamp() AS expired,
	  family.revoked_at IS NOT NULL OR s.revoked_at IS NOT NULL AS revoked, COALESCE(family.reused_now, false) AS reused_now,
	  COALESCE(family.rotated_at > clock_timestamp() - make_interval(secs => $3::float8), false) AS fresh,
	  cut.id AS cut_id, cut.created_at AS cut_at
	FROM family
	JOIN auth.sessions AS s ON s.id = family.session_id
	JOIN auth.users AS u ON u.id = family.user_id
	LEFT JOIN cut ON true`

// Refresh exchanges a refresh token for its successor and an access token.
// Concurrent presenters of the last token get the same successor within
// Config.RefreshGrace. It fails with [ErrInvalidRefreshToken], of which
// [ErrRefreshReused] is one, [ErrRefreshExpired] or [ErrUserNotFound]; a token
// that this service did not make costs no look into the database.
func (s *Service) Refresh(ctx context.Context, client principal.Client, refreshToken string) (Tokens, error) {
	tokens, outcome, err := s.refresh(ctx, client, refreshToken)
	if s.observe.Refresh != nil {
		s.observe.Refresh(outcome)
	}
	return tokens, err
}

func (s *Service) refresh(ctx context.Context, client principal.Client, refreshToken string) (Tokens, string, error) {
	r, successor, outcome, err := s.advanceFamily(ctx, client, refreshToken, "")
	if err != nil {
		return Tokens{}, outcome, err
	}
	u := r.User()
	access, err := s.AccessToken(u, r.Session)
	return Tokens{User: u, AccessToken: access, ExpiresIn: s.cfg.AccessTokenTTL, SessionID: r.ID, RefreshToken: successor}, outcome, err
}

// advance is advanceFamily, observed, for an OpenID client.
func (s *Service) advance(ctx context.Context, client principal.Client, refreshToken, clientID string) (session.WithUser, string, error) {
	r, successor, outcome, err := s.advanceFamily(ctx, client, refreshToken, clientID)
	if s.observe.Refresh != nil {
		s.observe.Refresh(outcome)
	}
	return r.WithUser, successor, err
}

// advanceFamily exchanges a refresh token for its successor. outcome is for the
// metrics.
func (s *Service) advanceFamily(ctx context.Context, client principal.Client, refreshToken, clientID string) (r refreshRow, successor, outcome string, err error) {
	familyID, generation, ok := refreshtoken.Open(s.cfg.Secrets, refreshToken)
	imported := !ok && clientID == "" && refreshtoken.Imported(refreshToken)
	if imported {
		if familyID, err = s.importedFamily(ctx, refreshToken); err != nil {
			return r, "", "error", err
		}
		ok = familyID != ""
	}
	if !ok {
		return r, "", "invalid", ErrInvalidRefreshToken
	}
	r, err = dbscope.One[refreshRow](ctx, s.db, system(), refreshSQL, familyID, generation,
		s.cfg.RefreshGrace.Seconds(), s.cfg.RefreshTokenTTL.Seconds(), s.cfg.SessionMaxAge.Seconds(),
		client.Network(), client.Agent(), clientID, imported)
	if err != nil {
		return r, "", "error", account.NotFound(err, ErrInvalidRefreshToken)
	}
	switch {
	case r.ReusedNow:
		s.Announce(revocation.Revocation{ID: *r.CutID, UserID: r.UserID, SessionID: &r.ID, Reason: revocation.ReasonReuse, CreatedAt: *r.CutAt})
		s.log.WarnContext(ctx, "a refresh token was used again, its sessions end: it may have been stolen",
			"account", r.User().Email, "user", r.UserID, "session", r.ID, "client", clientID, "address", client.Network())
		return r, "", "reused", ErrRefreshReused
	case !r.Usable:
		return r, "", "no_user", ErrUserNotFound
	case r.Revoked:
		return r, "", "revoked", ErrInvalidRefreshToken
	case r.Counter == generation+1 && (!imported || r.Fresh):
	case r.Expired:
		return r, "", "expired", ErrRefreshExpired
	default:
		return r, "", "invalid", ErrInvalidRefreshToken
	}
	return r, refreshtoken.Make(s.cfg.Secrets, familyID, r.Counter), "success", nil
}

// importedFamily is the family that an imported refresh token begins, empty where
// there is none.
func (s *Service) importedFamily(ctx context.Context, refreshToken string) (string, error) {
	found, err := dbscope.Texts(ctx, s.db, system(),
		`SELECT f.id AS text FROM auth.sessions AS s JOIN auth.refresh_families AS f ON f.session_id = s.id WHERE s.refresh_token = $1`,
		StoredToken(refreshToken))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}
