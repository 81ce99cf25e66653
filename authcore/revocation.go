package authcore

import (
	"context"
	"encoding/json"
	"time"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// Reasons a session or a user is cut off; they stand in auth.revocations and
// in the event log.
const (
	reasonSignOut         = "logout"
	reasonRevoked         = "session_revoked"
	reasonReuse           = "refresh_reuse"
	reasonPasswordChanged = "password_changed"
	reasonDeleted         = "account_deleted"
	reasonDisabled        = "account_disabled"
	reasonEnabled         = "account_enabled"
	reasonRoleChanged     = "role_changed"
	reasonVerified        = "email_verified"
	reasonEmailChanged    = "email_changed"
	reasonOrganization    = "organization_changed" // what the user may do in one
)

// Revoked reports whether a token or cookie entry of this session and user,
// issued in that epoch of theirs ([Claims].AuthEpoch), has been cut off. It
// asks memory only.
func (s *Service) Revoked(sessionID, userID string, epoch int32) bool {
	return s.revoked.Refuses(sessionID, userID, epoch)
}

// Watch calls w.Revoked once when the session, the whole user or the signing
// key is revoked. It reports false where that has happened already. The caller
// must call [Service.Unwatch] when their request is over, in either case, and
// leave w alone until then.
func (s *Service) Watch(w *revocation.Watch) (ok bool) {
	s.watchers.Enter(w)
	return !s.Revoked(w.SessionID, w.UserID, w.AuthEpoch) && !s.keys.Load().Revoked(w.KeyID)
}

// Unwatch ends a watch. Revoked may still be running.
func (s *Service) Unwatch(w *revocation.Watch) { s.watchers.Leave(w) }

// Watching reports whether any watch is open.
func (s *Service) Watching() bool { return s.watchers.Any() }

// memorySpan is how far back revocations are kept in memory: every access
// token issued before is expired by then, whatever the lifetime was then and
// is on other edges, and every session cached before is forgotten. It allows
// for edges whose clocks are a day ahead.
const memorySpan = 2 * token.LongestLife

// apply honours a revocation on this edge: from now on nothing of it passes,
// and its open streams end.
func (s *Service) apply(rev revocation.Revocation) {
	if s.revoked.Add(rev, s.now()) {
		s.watchers.End(rev)
	}
}

// publishWait bounds how long Redis is tried with what was revoked. Without it
// PostgreSQL's NOTIFY carries the news.
const publishWait = 2 * time.Second

// announce applies revocations that this edge has committed and hands them to
// Redis, for which nobody waits. PostgreSQL's own NOTIFY has left with the
// commit.
func (s *Service) announce(revs ...revocation.Revocation) {
	for _, rev := range revs {
		s.apply(rev)
	}
	if s.redis != nil && len(revs) > 0 {
		s.background.Go(func() { s.publish(revs) })
	}
}

func (s *Service) publish(revs []revocation.Revocation) {
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	for _, rev := range revs {
		rev.At = rev.CreatedAt.UnixMilli()
		message, err := json.Marshal(rev)
		if err == nil {
			err = s.redis.Publish(ctx, revocationChannel, message).Err()
		}
		if err != nil {
			s.log.Warn("publish revocations", "error", err)
			return
		}
	}
}

const revocationColumns = `id, user_id, session_id, epoch, reason, created_at`

// readOverlap is by how much a reading of the revocations reaches back before
// the newest one known. What was revoked then has committed since: no
// transaction is left that long.
const readOverlap = 2 * time.Minute

// loadRevocations reads what is still in force, or what has come since the last
// time. Rows commit out of the order of their ids, so it reads by time, the
// database's own, with overlap, and never by last id.
func (s *Service) loadRevocations(ctx context.Context) error {
	s.readingRevocations.Lock()
	defer s.readingRevocations.Unlock()
	list, err := dbscope.List[revocation.Revocation](ctx, s.db, system(),
		`SELECT `+revocationColumns+`
		 FROM auth.revocations
		 WHERE created_at > now() - make_interval(secs => $1) AND created_at > $2
		 ORDER BY created_at`, memorySpan.Seconds(), s.newestRevocation.Add(-readOverlap))
	if err != nil {
		return err
	}
	for _, rev := range list {
		s.apply(rev)
		s.newestRevocation = rev.CreatedAt
	}
	return nil
}
