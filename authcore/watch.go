package authcore

import (
	"hash/maphash"
	"sync"
)

// watchers end open requests and streams when their session is revoked. They
// are sharded by user because every request passing the gate enters here.
type watchers struct {
	seed   maphash.Seed
	shards [cacheShards]struct {
		sync.Mutex
		byUser map[string]map[*watch]struct{}
	}
}

type watch struct {
	sessionID string
	cancel    func()
}

func newWatchers() *watchers {
	w := &watchers{seed: maphash.MakeSeed()}
	for i := range w.shards {
		w.shards[i].byUser = make(map[string]map[*watch]struct{})
	}
	return w
}

// Watch calls cancel, once and not before Watch returns, when the session or
// the whole user is revoked. The caller must call stop when his request is
// over. A session that is revoked already is the caller's to check, after
// Watch, with [Service.Revoked].
func (s *Service) Watch(sessionID, userID string, cancel func()) (stop func()) {
	w := &watch{sessionID: sessionID, cancel: cancel}
	sh := &s.watchers.shards[maphash.String(s.watchers.seed, userID)%cacheShards]
	sh.Lock()
	set := sh.byUser[userID]
	if set == nil {
		set = make(map[*watch]struct{}, 1)
		sh.byUser[userID] = set
	}
	set[w] = struct{}{}
	sh.Unlock()
	return func() {
		sh.Lock()
		defer sh.Unlock()
		set := sh.byUser[userID]
		delete(set, w)
		if len(set) == 0 {
			delete(sh.byUser, userID)
		}
	}
}

// Watching tells whether any watch is open.
func (s *Service) Watching() bool {
	for i := range s.watchers.shards {
		sh := &s.watchers.shards[i]
		sh.Lock()
		open := len(sh.byUser) > 0
		sh.Unlock()
		if open {
			return true
		}
	}
	return false
}

// end cancels what a revocation concerns, outside the lock: a cancel may run
// into the stop of its own request.
func (ws *watchers) end(rev revocation) {
	sh := &ws.shards[maphash.String(ws.seed, rev.UserID)%cacheShards]
	var ended []*watch
	sh.Lock()
	for w := range sh.byUser[rev.UserID] {
		if rev.SessionID == nil || *rev.SessionID == w.sessionID {
			ended = append(ended, w)
			delete(sh.byUser[rev.UserID], w)
		}
	}
	sh.Unlock()
	for _, w := range ended {
		w.cancel()
	}
}

// endAll cancels every watch.
func (ws *watchers) endAll() {
	for i := range ws.shards {
		sh := &ws.shards[i]
		var ended []*watch
		sh.Lock()
		for userID, set := range sh.byUser {
			for w := range set {
				ended = append(ended, w)
			}
			delete(sh.byUser, userID)
		}
		sh.Unlock()
		for _, w := range ended {
			w.cancel()
		}
	}
}
