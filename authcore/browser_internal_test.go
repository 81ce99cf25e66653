package authcore

import (
	"errors"
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
		tokens: newCache[*verifiedToken](cacheShards), sessions: newCache[*cachedSession](cacheShards), dead: newCache[struct{}](cacheShards),
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
			s.revoked.forget(clock.Add(-memorySpan)) // as sweepLoop does
			if entry, hit := s.sessions.get(id, *clock); hit && !s.stale(entry) {
				t.Errorf("token life %v: the session lives again %v after its end", ttl, clock.Sub(e.s.CreatedAt))
				break
			}
		}
	}
}

// A change of role that is heard of while a request stands between finding its
// session and getting a token leaves no token with the old role behind.
func TestBearerOfAnOvertakenSession(t *testing.T) {
	t.Parallel()
	s, clock, id, e := cachedSessionAt(t, Config{})
	entry, hit := s.cachedSession(id, *clock)
	if !hit {
		t.Fatal("the session is not in memory")
	}
	*clock = clock.Add(time.Second)
	s.apply(revocation{UserID: e.u.ID, Epoch: new(e.u.AuthEpoch + 1), Reason: reasonRoleChanged, CreatedAt: *clock})
	*clock = clock.Add(time.Second)
	token, claims, err := s.Bearer(t.Context(), BrowserSession{entry: entry})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Revoked(claims.SessionID, claims.Subject, claims.AuthEpoch) {
		t.Error("the gate lets the old role pass")
	}
	if _, err := s.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("the token with the old role: %v", err)
	}
}

// Whether a cached session is overtaken does not hang on the database's clock.
func TestCutOffByAnotherClock(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "behind": -10 * time.Second, "ahead": 10 * time.Second} {
		s, clock, id, e := cachedSessionAt(t, Config{})
		*clock = clock.Add(2 * time.Second)
		e.u.AuthEpoch++
		s.apply(revocation{UserID: e.u.ID, Epoch: new(e.u.AuthEpoch), Reason: reasonRoleChanged, CreatedAt: clock.Add(skew)})
		*clock = clock.Add(2 * time.Second)
		if _, hit := s.cachedSession(id, *clock); hit {
			t.Errorf("%s: what was read before the change of role is believed", name)
		}
		s.remember(id, packSession(e.u, e.s, *clock))
		entry, hit := s.cachedSession(id, *clock)
		if !hit {
			t.Errorf("%s: what was read after the change of role is not believed", name)
			continue
		}
		if token, _, err := s.Bearer(t.Context(), BrowserSession{entry: entry}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if _, err := s.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: the new role's token: %v", name, err)
		}
	}
}
