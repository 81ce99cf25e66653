package authcore

import (
	"hash/maphash"
	"sync"
)

// Watch ends an open request or stream when its session is revoked: see
// [Service.Watch]. AuthEpoch is that of the user when they were verified, and
// KeyID the signing key by which, empty where it was none.
type Watch struct {
	SessionID string
	UserID    string
	AuthEpoch int32
	KeyID     string
	Revoked   func() // runs once at most
}

// watchers are the open watches. They are sharded by user because every
// request passing the gate enters here.
type watchers struct {
	seed   maphash.Seed
	shards [64]watchShard
}

type watchShard struct {
	sync.Mutex
	open map[*Watch]struct{}
}

func newWatchers() *watchers {
	ws := &watchers{seed: maphash.MakeSeed()}
	for i := range ws.shards {
		ws.shards[i].open = make(map[*Watch]struct{})
	}
	return ws
}

func (ws *watchers) shard(userID string) *watchShard {
	return &ws.shards[maphash.String(ws.seed, userID)%uint64(len(ws.shards))]
}

// Watch calls w.Revoked once when the session, the whole user or the signing
// key is revoked. It reports false where that has happened already. The caller
// must call [Service.Unwatch] when their request is over, in either case, and
// leave w alone until then.
func (s *Service) Watch(w *Watch) (ok bool) {
	sh := s.watchers.shard(w.UserID)
	sh.Lock()
	sh.open[w] = struct{}{}
	sh.Unlock()
	return !s.Revoked(w.SessionID, w.UserID, w.AuthEpoch) && !s.keys.Load().revoked[w.KeyID]
}

// Unwatch ends a watch. Revoked may still be running.
func (s *Service) Unwatch(w *Watch) {
	sh := s.watchers.shard(w.UserID)
	sh.Lock()
	delete(sh.open, w)
	sh.Unlock()
}

// Watching reports whether any watch is open.
func (s *Service) Watching() bool {
	for i := range s.watchers.shards {
		sh := &s.watchers.shards[i]
		sh.Lock()
		open := len(sh.open) > 0
		sh.Unlock()
		if open {
			return true
		}
	}
	return false
}

// end cancels what a revocation concerns.
func (ws *watchers) end(rev revocation) {
	ws.shard(rev.UserID).end(func(w *Watch) bool {
		return w.UserID == rev.UserID && (rev.SessionID == nil || *rev.SessionID == w.SessionID)
	})
}

// endKey cancels what a token of the signing key opened.
func (ws *watchers) endKey(id string) {
	for i := range ws.shards {
		ws.shards[i].end(func(w *Watch) bool { return w.KeyID == id })
	}
}

// endAll cancels every watch.
func (ws *watchers) endAll() {
	for i := range ws.shards {
		ws.shards[i].end(func(*Watch) bool { return true })
	}
}

// end cancels the watches that are concerned, outside the lock: a cancel may
// run into the Unwatch of its own request.
func (sh *watchShard) end(concerned func(*Watch) bool) {
	var ended []*Watch
	sh.Lock()
	for w := range sh.open {
		if concerned(w) {
			ended = append(ended, w)
			delete(sh.open, w)
		}
	}
	sh.Unlock()
	for _, w := range ended {
		w.Revoked()
	}
}
