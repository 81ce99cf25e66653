package verifier

import (
	"errors"
	"hash/maphash"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore/keyring"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/token"
)

// testClock is a clock that a test moves, while caches read it.
type testClock struct{ at atomic.Pointer[time.Time] }

func (c *testClock) now() time.Time { return *c.at.Load() }

func (c *testClock) add(d time.Duration) {
	next := c.now().Add(d)
	c.at.Store(&next)
}

// cachedSessionAt is a service with one session in memory, read at a time by a
// clock that the test moves. There is no database behind it.
func cachedSessionAt(t *testing.T, ttl time.Duration) (s *Verifier, clock *testClock, id digest, e cachedExampleOf) {
	t.Helper()
	e = cachedExample(1)
	clock = new(testClock)
	clock.at.Store(&e.s.CreatedAt)
	keys := new(atomic.Pointer[token.KeySet])
	keys.Store(token.NewKeySet([]token.Key{newTestKey(t)}))
	s = New(Deps{
		Now: clock.now, Revoked: revocation.NewList(), Watchers: revocation.NewWatchers(), Unheard: new(atomic.Int64),
		Keys: keys, Ring: keyring.New(keyring.Deps{Set: keys, Now: clock.now}),
		Issuer: "https://auth.example.test", Audience: "manacore", AccessTokenTTL: ttl, SessionTTL: 7 * 24 * time.Hour, SessionMaxAge: 90 * 24 * time.Hour,
	})
	id = digestOf(e.s.ID)
	s.remember(id, packSession(e.u, e.s, clock.now()))
	return s, clock, id, e
}

// A revocation is remembered for as long as what it cuts off may be cached,
// also where access tokens live shorter than that.
func TestRevocationOutlivesTheCache(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{10 * time.Second, 15 * time.Minute} {
		s, clock, id, e := cachedSessionAt(t, ttl)
		s.Apply(revocation.Revocation{UserID: e.u.ID, SessionID: &e.s.ID, Reason: revocation.ReasonSignOut, CreatedAt: clock.now()})
		for range 30 {
			clock.add(time.Minute)
			s.with.Revoked.Forget(clock.now().Add(-revocation.MemorySpan)) // as sweepLoop does
			if entry, hit := s.sessions.GetIfPresent(id); hit && !s.stale(entry) {
				t.Errorf("token life %v: the session lives again %v after its end", ttl, clock.now().Sub(e.s.CreatedAt))
				break
			}
		}
	}
}

// A change of role that is heard of while a request stands between finding its
// session and getting a token leaves no token with the old role behind.
func TestBearerOfAnOvertakenSession(t *testing.T) {
	t.Parallel()
	s, clock, id, e := cachedSessionAt(t, 15*time.Minute)
	entry, hit := s.cachedSession(id)
	if !hit {
		t.Fatal("the session is not in memory")
	}
	clock.add(time.Second)
	s.Apply(revocation.Revocation{UserID: e.u.ID, Epoch: new(e.u.AuthEpoch + 1), Reason: revocation.ReasonRoleChanged, CreatedAt: clock.now()})
	clock.add(time.Second)
	bearer, claims, err := s.Bearer(t.Context(), BrowserSession{entry: entry})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Revoked(claims.SessionID, claims.Subject, claims.AuthEpoch) {
		t.Error("the gate lets the old role pass")
	}
	if _, err := s.Verify(t.Context(), bearer); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("the token with the old role: %v", err)
	}
}

// What was verified under the hash of another token says nothing of this one.
func TestVerifiedTokensOfOneHash(t *testing.T) {
	t.Parallel()
	s, _, _, e := cachedSessionAt(t, 15*time.Minute)
	entry := packSession(e.u, e.s, s.with.Now())
	bearer, _, err := s.Bearer(t.Context(), BrowserSession{entry: entry})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), bearer); err != nil {
		t.Fatal(err)
	}
	known, _ := s.tokens.GetIfPresent(maphash.String(s.tokenSeed, bearer))
	const forged = "e30.e30.e30"
	s.tokens.Set(maphash.String(s.tokenSeed, forged), known)
	if claims, err := s.Verify(t.Context(), forged); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("%+v, %v", claims, err)
	}
}

// Whether a cached session is overtaken does not hang on the database's clock.
func TestCutOffByAnotherClock(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "behind": -10 * time.Second, "ahead": 10 * time.Second} {
		s, clock, id, e := cachedSessionAt(t, 15*time.Minute)
		clock.add(2 * time.Second)
		e.u.AuthEpoch++
		s.Apply(revocation.Revocation{UserID: e.u.ID, Epoch: new(e.u.AuthEpoch), Reason: revocation.ReasonRoleChanged, CreatedAt: clock.now().Add(skew)})
		clock.add(2 * time.Second)
		if _, hit := s.cachedSession(id); hit {
			t.Errorf("%s: what was read before the change of role is believed", name)
		}
		s.remember(id, packSession(e.u, e.s, clock.now()))
		entry, hit := s.cachedSession(id)
		if !hit {
			t.Errorf("%s: what was read after the change of role is not believed", name)
			continue
		}
		if bearer, _, err := s.Bearer(t.Context(), BrowserSession{entry: entry}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if _, err := s.Verify(t.Context(), bearer); err != nil {
			t.Errorf("%s: the new role's token: %v", name, err)
		}
	}
}

func newTestKey(t *testing.T) token.Key {
	t.Helper()
	issued := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	k, err := token.NewKey(token.EdDSA, issued, issued)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testClaims() token.Claims {
	issued := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return token.Claims{
		Subject: "abcdefghijklmnopqrstuvwxyzABCDEF", Email: "ada@mana.how", Role: principal.RoleUser,
		SessionID: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", Issuer: "https://auth.mana.how", Audience: "manacore",
		ID: "0123456789abcdefghijklmnopqrstuv", IssuedAt: issued, Expires: issued.Add(15 * time.Minute),
	}
}
