// Package revocation is the memory of what is revoked, and ends what is open
// of it.
package revocation

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"mana.how/edge/authcore/token"
)

// Revocation is one row of auth.List. Without SessionID it cuts off
// the whole user: Epoch is the lowest that is still taken of them.
type Revocation struct {
	ID        int64     `json:"id"`
	UserID    string    `json:"userId"`
	SessionID *string   `json:"sessionId"`
	Epoch     *int32    `json:"epoch"`
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"-"`
	At        int64     `json:"at" db:"-"` // CreatedAt in Unix milliseconds, on the wire
}

// List is the memory of what is cut off. It is asked on every request,
// so the common case, nothing revoked, is one atomic load.
type List struct {
	count    atomic.Int64
	mu       sync.RWMutex
	sessions map[string]time.Time // when it was heard of, by this edge's clock
	users    map[string]userRevocation
	changed  map[string]time.Time // users who read otherwise since, by this edge's clock
	closed   bool                 // nothing new arrives any more
}

// userRevocation refuses what was issued in an epoch below Epoch.
type userRevocation struct {
	Epoch      int32
	ReceivedAt time.Time // by this edge's clock
}

// NewList makes a list of nothing.
func NewList() *List {
	return &List{
		sessions: make(map[string]time.Time), users: make(map[string]userRevocation), changed: make(map[string]time.Time),
	}
}

// Add takes a revocation in, heard of now, and reports whether it was news.
// Cut-offs of a user may arrive in any order: the highest epoch stands.
func (r *List) Add(rev Revocation, now time.Time) bool {
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
	r.users[rev.UserID] = userRevocation{Epoch: *rev.Epoch, ReceivedAt: now}
	return true
}

// Change notes that the user's account reads otherwise now. Their tokens are
// good still.
func (r *List) Change(userID string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.recount()
	r.changed[userID] = now
}

// recount is for callers that hold the lock.
func (r *List) recount() {
	n := len(r.sessions) + len(r.users) + len(r.changed)
	if r.closed {
		n++
	}
	r.count.Store(int64(n))
}

// None reports whether nothing is revoked.
func (r *List) None() bool { return r.count.Load() == 0 }

// Refuses reports whether something issued for the session, and for the user
// in the epoch, is cut off. No clock is asked.
func (r *List) Refuses(sessionID, userID string, epoch int32) bool {
	if r.None() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.covers(sessionID, userID, epoch)
}

// covers is Refuses for callers that hold the lock.
func (r *List) covers(sessionID, userID string, epoch int32) bool {
	if r.closed {
		return true
	}
	if _, cut := r.sessions[sessionID]; cut && sessionID != "" {
		return true
	}
	cut, ok := r.users[userID]
	return ok && epoch < cut.Epoch
}

// Overtakes reports whether what was read of the session and user, in the epoch
// and at the time by this edge's clock, may not be true any more.
func (r *List) Overtakes(sessionID, userID string, epoch int32, readAt time.Time) bool {
	if r.None() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	changed, ok := r.changed[userID]
	return r.covers(sessionID, userID, epoch) || ok && !readAt.After(changed)
}

// Close refuses everything from now on: whether it is cut off would not be
// known any more.
func (r *List) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.recount()
}

// Forget drops what was heard of before, on which no living token or cache
// entry can depend. A revocation's own time would not do: it is by the
// database's clock, and an edge whose clock is ahead would forget at once.
func (r *List) Forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.sessions, func(_ string, received time.Time) bool { return received.Before(before) })
	maps.DeleteFunc(r.users, func(_ string, cut userRevocation) bool { return cut.ReceivedAt.Before(before) })
	maps.DeleteFunc(r.changed, func(_ string, received time.Time) bool { return received.Before(before) })
	r.recount()
}

// MemorySpan is how far back revocations are kept in memory: every access
// token issued before is expired by then, whatever the lifetime was then and
// is on other edges, and every session cached before is forgotten. It allows
// for edges whose clocks are a day ahead.
const MemorySpan = 2 * token.LongestLife
