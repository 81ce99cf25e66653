package authcore

import (
	"context"
	"errors"
	"time"

	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/revocation"
)

// Retention is how long what has ended is kept; zero takes the default named.
type Retention struct {
	Events   time.Duration // 400 days, of security events
	Sessions time.Duration // 90 days after the end of a session, with its refresh family
}

func (r Retention) withDefaults() Retention {
	if r.Events == 0 {
		r.Events = 400 * 24 * time.Hour
	}
	if r.Sessions == 0 {
		r.Sessions = 90 * 24 * time.Hour
	}
	return r
}

// A session from which others were derived stays until they are gone: they may
// live on by refreshing, and are to end with it still.
const pruneSessions = `
	DELETE FROM auth.sessions
	WHERE id IN (
	  SELECT s.id
	  FROM auth.sessions AS s
	  WHERE (s.expires_at < now() - make_interval(secs => $1) OR s.revoked_at < now() - make_interval(secs => $1))
	    AND NOT EXISTS (
	      SELECT FROM auth.refresh_families AS f
	      WHERE f.session_id = s.id AND f.revoked_at IS NULL AND f.expires_at > now() - make_interval(secs => $1))
	    AND NOT EXISTS (SELECT FROM auth.sessions AS child WHERE child.parent_id = s.id)
	  LIMIT $2)`

const pruneEvents = `
	DELETE FROM auth.security_events
	WHERE id IN (
	  SELECT e.id
	  FROM auth.security_events AS e
	  WHERE e.created_at < now() - make_interval(secs => $1)
	  ORDER BY e.created_at
	  LIMIT $2)`

// A session that an app took up again and again has a family for each time.
const pruneFamilies = `
	DELETE FROM auth.refresh_families
	WHERE id IN (
	  SELECT f.id
	  FROM auth.refresh_families AS f
	  WHERE f.expires_at < now() - make_interval(secs => $1)
	    AND EXISTS (
	      SELECT FROM auth.refresh_families AS newer
	      WHERE newer.session_id = f.session_id AND (newer.expires_at, newer.id) > (f.expires_at, f.id))
	  ORDER BY f.expires_at
	  LIMIT $2)`

// Revocations are of use while a token that they refuse may still be met.
const pruneRevocations = `
	DELETE FROM auth.revocations
	WHERE id IN (
	  SELECT r.id
	  FROM auth.revocations AS r
	  WHERE r.created_at < now() - make_interval(secs => $1)
	  ORDER BY r.created_at
	  LIMIT $2)`

const pruneChallenges = `
	DELETE FROM auth.challenges
	WHERE id IN (
	  SELECT c.id
	  FROM auth.challenges AS c
	  WHERE c.expires_at < now() - make_interval(secs => $1)
	  ORDER BY c.expires_at
	  LIMIT $2)`

// challengesKept is how long a challenge outlives its token: a link that is
// opened again later says what became of it.
const challengesKept = 7 * 24 * time.Hour

// purge drops what has ended longer ago than it is kept.
func (s *Service) purge(ctx context.Context) error {
	kept := s.cfg.Retention
	_, sessions := s.db.Prune(ctx, "prune auth.sessions", pruneSessions, kept.Sessions.Seconds())
	_, families := s.db.Prune(ctx, "prune auth.refresh_families", pruneFamilies, (24 * time.Hour).Seconds())
	_, events := s.db.Prune(ctx, "prune auth.security_events", pruneEvents, kept.Events.Seconds())
	_, revocations := s.db.Prune(ctx, "prune auth.revocations", pruneRevocations, (revocation.MemorySpan + 24*time.Hour).Seconds())
	lockouts := lockout.Prune(ctx, s.db)
	_, challenges := s.db.Prune(ctx, "prune auth.challenges", pruneChallenges, challengesKept.Seconds())
	_, ceremonies := passkey.Prune(ctx, s.db)
	_, invitations := organization.Prune(ctx, s.db)
	grants := openid.Prune(ctx, s.db)
	_, flows := federation.Prune(ctx, s.db)
	return errors.Join(grants, flows, sessions, families, events, revocations, lockouts, challenges, ceremonies, invitations, pruneProofsOfWork(ctx, s.db))
}
