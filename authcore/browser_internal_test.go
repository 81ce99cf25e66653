package authcore

import (
	"testing"
	"time"
)

// cachedSessionAt is a service with one session in memory, read at a time by a
// clock that the test moves. There is no database behind it.
func cachedSessionAt(t *testing.T, cfg Config) (s *Service, clock *time.Time, id digest, e cachedExampleOf) {
	t.Helper()
	cfg.BaseURL = "https://auth.example.test"
	e = cachedExample(1)
	now := e.s.CreatedAt
	clock = &now
	s = &Service{
		cfg: cfg.withDefaults(), now: func() time.Time { return *clock },
		revoked: newRevocations(), watchers: newWatchers(),
		tokens: newCache[*Claims](cacheShards), sessions: newCache[*cachedSession](cacheShards),
	}
	k := rfcKey(t, newID())
	s.keys.Store(newKeySet([]key{k}))
	id = digestOf(e.s.ID)
	s.remember(id, packSession(e.u, e.s, now))
	return s, clock, id, e
}

// A revocation is remembered for as long as what it cuts off may be cached,
// also where access tokens live shorter than that.
func TestRevocationOutlivesTheCache(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{10 * time.Second, 15 * time.Minute} {
		s, clock, id, e := cachedSessionAt(t, Config{AccessTokenTTL: ttl})
		s.apply(revocation{UserID: e.u.ID, SessionID: &e.s.ID, Reason: reasonSignOut, CreatedAt: *clock})
		for range 30 {
			*clock = clock.Add(time.Minute)
			s.revoked.forget(clock.Add(-s.memorySpan())) // as sweepLoop does
			if entry, hit := s.sessions.get(id, *clock); hit && !s.stale(entry) {
				t.Errorf("token life %v: the session lives again %v after its end", ttl, clock.Sub(e.s.CreatedAt))
				break
			}
		}
	}
}
