package authcore

import (
	"context"
	"encoding/json"
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
)

// revocation is one row of auth.revocations. Without SessionID it cuts off
// the whole user.
type revocation struct {
	ID        int64     `json:"id"`
	UserID    string    `json:"userId"`
	SessionID *string   `json:"sessionId"`
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
	deaf     bool // nothing new arrives any more
}

// userCut refuses tokens issued up to At; Barred refuses later ones too.
type userCut struct {
	At     time.Time
	Barred bool
	Heard  time.Time // by this edge's clock
}

func newRevocations() *revocations {
	return &revocations{sessions: make(map[string]time.Time), users: make(map[string]userCut)}
}

// add takes a revocation in, heard of now, and tells whether it was news. The
// same one may come by NOTIFY and by reading the table, so times count in
// milliseconds, which both carry.
func (r *revocations) add(rev revocation, now time.Time) bool {
	rev.CreatedAt = rev.CreatedAt.Truncate(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.count.Store(int64(len(r.sessions) + len(r.users))) }()
	if rev.SessionID != nil {
		_, known := r.sessions[*rev.SessionID]
		if !known {
			r.sessions[*rev.SessionID] = now
		}
		return !known
	}
	old, known := r.users[rev.UserID]
	if known && !old.At.Before(rev.CreatedAt) {
		return false
	}
	r.users[rev.UserID] = userCut{
		At:     rev.CreatedAt,
		Barred: rev.Reason == reasonDisabled || rev.Reason == reasonDeleted,
		Heard:  now,
	}
	return true
}

func (r *revocations) none() bool { return r.count.Load() == 0 }

// refuses tells whether something issued at the time for the session and user
// is cut off. A token's iat has whole seconds, so the second of the cut
// counts as before it.
func (r *revocations) refuses(sessionID, userID string, issuedAt time.Time) bool {
	if r.none() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.deaf {
		return true
	}
	if _, cut := r.sessions[sessionID]; cut && sessionID != "" {
		return true
	}
	cut, ok := r.users[userID]
	return ok && (cut.Barred || issuedAt.Unix() <= cut.At.Unix())
}

// overtakes tells whether a cut-off was heard of after what is known of the
// session and user was read, so that it may not be true any more. Both times
// are by this edge's clock: that of the database may differ.
func (r *revocations) overtakes(sessionID, userID string, readAt time.Time) bool {
	if r.none() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.deaf {
		return true
	}
	if _, cut := r.sessions[sessionID]; cut {
		return true
	}
	cut, ok := r.users[userID]
	return ok && (cut.Barred || cut.Heard.After(readAt))
}

// issueTime is the time that a new token of the user bears, at the earliest
// the second after his last cut-off. If he was read before that was heard of,
// it is the cut-off itself: the token says what is over, and nobody takes it.
func (r *revocations) issueTime(userID string, readAt, now time.Time) time.Time {
	r.mu.RLock()
	cut, ok := r.users[userID]
	r.mu.RUnlock()
	switch {
	case ok && cut.Heard.After(readAt):
		return cut.At
	case ok && now.Unix() <= cut.At.Unix():
		return time.Unix(cut.At.Unix()+1, 0)
	}
	return now
}

// close refuses everything from now on: whether it is cut off would not be
// known any more.
func (r *revocations) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = true
	r.count.Store(1)
}

// forget drops what was heard of before, on which no living token or cache
// entry can depend. A revocation's own time would not do: it is by the
// database's clock, and an edge whose clock is ahead would forget at once.
func (r *revocations) forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, heard := range r.sessions {
		if heard.Before(before) {
			delete(r.sessions, id)
		}
	}
	for id, cut := range r.users {
		if cut.Heard.Before(before) {
			delete(r.users, id)
		}
	}
	if !r.deaf {
		r.count.Store(int64(len(r.sessions) + len(r.users)))
	}
}

// Revoked tells whether a token or cookie entry of this session and user,
// issued at that time, has been cut off. It asks memory only.
func (s *Service) Revoked(sessionID, userID string, issuedAt time.Time) bool {
	return s.revoked.refuses(sessionID, userID, issuedAt)
}

// longestAccessToken is the greatest Config.AccessTokenTTL.
const longestAccessToken = 24 * time.Hour

// memorySpan is how far back revocations are kept in memory: every access
// token issued before is expired by then, whatever the lifetime was then and
// is on other edges, and every session cached before is forgotten, with slack
// for clocks.
const memorySpan = longestAccessToken + 5*time.Minute

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

const revocationColumns = `id, user_id, session_id, reason, created_at`

// readOverlap is by how much a reading of the revocations reaches back before
// the newest one known. What was revoked then has committed since: no
// transaction is left that long.
const readOverlap = 2 * time.Minute

// loadRevocations reads what is still in force, or what has come since the last
// time. Rows commit out of the order of their ids, so it reads by time, the
// database's own, with overlap, and never by last id. Only one goroutine may
// call it.
func (s *Service) loadRevocations(ctx context.Context) error {
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
