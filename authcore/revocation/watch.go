package revocation

import (
	"hash/maphash"
	"sync"
)

// Watch ends an open request or stream when its session is revoked: see
// [Watchers]. AuthEpoch is that of the user when they were verified, and
// KeyID the signing key by which, empty where it was none.
type Watch struct {
	SessionID string
	UserID    string
	AuthEpoch int32
	KeyID     string
	Revoked   func() // runs once at most
}

// Watchers are the open watches. They are sharded by user because every
// request passing the gate enters here.
type Watchers struct {
	seed   maphash.Seed
	shards [64]watchShard
}

type watchShard struct {
	sync.Mutex
	open map[*Watch]struct{}
}

// NewWatchers makes none.
func NewWatchers() *Watchers {
	ws := &Watchers{seed: maphash.MakeSeed()}
	for i := range ws.shards {
		ws.shards[i].open = make(map[*Watch]struct{})
	}
	return ws
}

func (ws *Watchers) shard(userID string) *watchShard {
	return &ws.shards[maphash.String(ws.seed, userID)%uint64(len(ws.shards))]
}

// Enter opens a watch. The caller must then ask whether it was too late, and
// call [Watchers.Leave] when their request is over.
func (ws *Watchers) Enter(w *Watch) {
	sh := ws.shard(w.UserID)
	sh.Lock()
	sh.open[w] = struct{}{}
	sh.Unlock()
}

// Leave ends a watch. Revoked may still be running.
func (ws *Watchers) Leave(w *Watch) {
	sh := ws.shard(w.UserID)
	sh.Lock()
	delete(sh.open, w)
	sh.Unlock()
}

// Any reports whether any watch is open.
func (ws *Watchers) Any() bool {
	for i := range ws.shards {
		sh := &ws.shards[i]
		sh.Lock()
		open := len(sh.open) > 0
		sh.Unlock()
		if open {
			return true
		}
	}
	return false
}

// End cancels what a revocation concerns.
func (ws *Watchers) End(rev Revocation) {
	ws.shard(rev.UserID).end(func(w *Watch) bool {
		return w.UserID == rev.UserID && (rev.SessionID == nil || *rev.SessionID == w.SessionID)
	})
}

// EndKey cancels what a token of the signing key opened.
func (ws *Watchers) EndKey(id string) {
	for i := range ws.shards {
		ws.shards[i].end(func(w *Watch) bool { return w.KeyID == id })
	}
}

// EndAll cancels every watch.
func (ws *Watchers) EndAll() {
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
