package authcore

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"sync/atomic"
	"time"

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
)

// revocation is one row of auth.revocations. Without SessionID it cuts off
// the whole user: Epoch is the lowest that is still taken of them.
type revocation struct {
	ID        int64     `json:"id"`
	UserID    string    `json:"userId"`
	SessionID *string   `json:"sessionId"`
	Epoch     *int32    `json:"epoch"`
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"-"`
	At        int64     `json:"at" db:"-"` // CreatedAt in Unix milliseconds, on the wire
}

// revocations is the memory of what is cut off. It is asked on every request,
// so the common case, nothing revoked, is one atomic load.
type revocations struct {
	count    atomic.Int64
	mu       sync.RWMutex
	sessions map[string]time.Time // when it was heard of, by this edge's clock
	users    map[string]userCut
	changed  map[string]time.Time // users who read otherwise since, by this edge's clock
	deaf     bool                 // nothing new arrives any more
}

// userCut refuses what was issued in an epoch below Epoch.
type userCut struct {
	Epoch int32
	Heard time.Time // by this edge's clock
}

func newRevocations() *revocations {
	return &revocations{
		sessions: make(map[string]time.Time), users: make(map[string]userCut), changed: make(map[string]time.Time),
	}
}

// add takes a revocation in, heard of now, and reports whether it was news.
// Cut-offs of a user may arrive in any order: the highest epoch stands.
func (r *revocations) add(rev revocation, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.recount()
	if rev.SessionID != nil {
		_, known := r.sessions[*rev.SessionID]
		if !known {
			r.sessions[*rev.SessionID] = now
		}
		return !known
	}
	if rev.Epoch == nil {
		return false
	}
	old, known := r.users[rev.UserID]
	if known && old.Epoch >= *rev.Epoch {
		return false
	}
	r.users[rev.UserID] = userCut{Epoch: *rev.Epoch, Heard: now}
	return true
}

// change notes that the user's account reads otherwise now. Their tokens are
// good still.
func (r *revocations) change(userID string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.recount()
	r.changed[userID] = now
}

// recount is for callers that hold the lock.
func (r *revocations) recount() {
	n := len(r.sessions) + len(r.users) + len(r.changed)
	if r.deaf {
		n++
	}
	r.count.Store(int64(n))
}

func (r *revocations) none() bool { return r.count.Load() == 0 }

// refuses reports whether something issued for the session, and for the user
// in the epoch, is cut off. No clock is asked.
func (r *revocations) refuses(sessionID, userID string, epoch int32) bool {
	if r.none() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.cut(sessionID, userID, epoch)
}

// cut is refuses for callers that hold the lock.
func (r *revocations) cut(sessionID, userID string, epoch int32) bool {
	if r.deaf {
		return true
	}
	if _, cut := r.sessions[sessionID]; cut && sessionID != "" {
		return true
	}
	cut, ok := r.users[userID]
	return ok && epoch < cut.Epoch
}

// overtakes reports whether what was read of the session and user, in the epoch
// and at the time by this edge's clock, may not be true any more.
func (r *revocations) overtakes(sessionID, userID string, epoch int32, readAt time.Time) bool {
	if r.none() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	changed, ok := r.changed[userID]
	return r.cut(sessionID, userID, epoch) || ok && !readAt.After(changed)
}

// close refuses everything from now on: whether it is cut off would not be
// known any more.
func (r *revocations) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = true
	r.recount()
}

// forget drops what was heard of before, on which no living token or cache
// entry can depend. A revocation's own time would not do: it is by the
// database's clock, and an edge whose clock is ahead would forget at once.
func (r *revocations) forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.sessions, func(_ string, heard time.Time) bool { return heard.Before(before) })
	maps.DeleteFunc(r.users, func(_ string, cut userCut) bool { return cut.Heard.Before(before) })
	maps.DeleteFunc(r.changed, func(_ string, heard time.Time) bool { return heard.Before(before) })
	r.recount()
}

// Revoked reports whether a token or cookie entry of this session and user,
// issued in that epoch of theirs ([Claims].AuthEpoch), has been cut off. It
// asks memory only.
func (s *Service) Revoked(sessionID, userID string, epoch int32) bool {
	return s.revoked.refuses(sessionID, userID, epoch)
}

// longestAccessToken is the greatest Config.AccessTokenTTL.
const longestAccessToken = 24 * time.Hour

// memorySpan is how far back revocations are kept in memory: every access
// token issued before is expired by then, whatever the lifetime was then and
// is on other edges, and every session cached before is forgotten. It allows
// for edges whose clocks are a day ahead.
const memorySpan = 2 * longestAccessToken

// apply honours a revocation on this edge: from now on nothing of it passes,
// and its open streams end.
func (s *Service) apply(rev revocation) {
	if s.revoked.add(rev, s.now()) {
		s.watchers.end(rev)
	}
}

// publishWait bounds how long Redis is tried with what was revoked. Without it
// PostgreSQL's NOTIFY carries the news.
const publishWait = 2 * time.Second

// announce applies revocations that this edge has committed and hands them to
// Redis, for which nobody waits. PostgreSQL's own NOTIFY has left with the
// commit.
func (s *Service) announce(revs ...revocation) {
	for _, rev := range revs {
		s.apply(rev)
	}
	if s.redis != nil && len(revs) > 0 {
		s.background.Go(func() { s.publish(revs) })
	}
}

func (s *Service) publish(revs []revocation) {
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
	list, err := dbscope.List[revocation](ctx, s.db, system(),
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
