package verifier

import (
	"mana.how/edge/authcore/revocation"
)

// Revoked reports whether a token or cookie entry of this session and user,
// issued in that epoch of theirs ([Claims].AuthEpoch), has been cut off. It
// asks memory only.
func (s *Verifier) Revoked(sessionID, userID string, epoch int32) bool {
	return s.with.Revoked.Refuses(sessionID, userID, epoch)
}

// Watch calls w.Revoked once when the session, the whole user or the signing
// key is revoked. It reports false where that has happened already. The caller
// must call [Verifier.Unwatch] when their request is over, in either case, and
// leave w alone until then.
func (s *Verifier) Watch(w *revocation.Watch) (ok bool) {
	s.with.Watchers.Enter(w)
	return !s.Revoked(w.SessionID, w.UserID, w.AuthEpoch) && !s.with.Keys.Load().Revoked(w.KeyID)
}

// Unwatch ends a watch. Revoked may still be running.
func (s *Verifier) Unwatch(w *revocation.Watch) { s.with.Watchers.Leave(w) }

// Watching reports whether any watch is open.
func (s *Verifier) Watching() bool { return s.with.Watchers.Any() }

// Apply honours a revocation on this edge: from now on nothing of it passes,
// and its open streams end.
func (s *Verifier) Apply(rev revocation.Revocation) {
	if s.with.Revoked.Add(rev, s.with.Now()) {
		s.with.Watchers.End(rev)
	}
}

// Announce applies revocations that this edge has committed and hands them to
// Redis, for which nobody waits. PostgreSQL's own NOTIFY has left with the
// commit.
func (s *Verifier) Announce(revs ...revocation.Revocation) {
	for _, rev := range revs {
		s.Apply(rev)
	}
	if s.with.Publish != nil && len(revs) > 0 {
		s.with.Background.Go(func() { s.with.Publish(revs) })
	}
}
