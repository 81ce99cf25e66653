package authcore_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// An edge whose way to PostgreSQL itself is cut still reads over the pool what
// other edges revoke.
func TestRevocationsArriveWithoutListening(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, direct := pgtest.NewRelay(t, db.DSN)
	far := edgeWith(t, db, func(d *authcore.Deps) { d.ListenDSN = direct })
	near := edge(t, db)
	register(t, near, "ada@example.test")
	for range 2 {
		tokens := signIn(t, near, laptop, "ada@example.test")
		caller := callerOf(t, far, tokens.AccessToken)
		relay.Cut(true)
		if err := near.RevokeSession(t.Context(), caller, caller.SessionID); err != nil {
			t.Fatal(err)
		}
		eventually(t, 15*time.Second, "the deaf edge refuses the session", func() bool {
			return far.Revoked(caller.SessionID, caller.UserID, 0)
		})
	}
}

// A connection that dies in silence, with no reset, delays nothing for long: the
// edge notices that it hears nothing and reads over the pool, until it listens
// again.
func TestSilentConnectionDelaysNoRevocation(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, direct := pgtest.NewRelay(t, db.DSN)
	far := edgeWith(t, db, func(d *authcore.Deps) { d.ListenDSN = direct })
	near := edge(t, db)
	register(t, near, "ada@example.test")
	listens := func() bool { _, ok := far.Listening(); return ok }
	eventually(t, 10*time.Second, "it listens", listens)

	relay.Silence(true)
	for n := range 3 {
		tokens := signIn(t, near, laptop, "ada@example.test")
		caller := callerOf(t, far, tokens.AccessToken)
		began := time.Now()
		if err := near.RevokeSession(t.Context(), caller, caller.SessionID); err != nil {
			t.Fatal(err)
		}
		eventually(t, 4*time.Second, "the edge that hears nothing refuses the session", func() bool {
			return far.Revoked(caller.SessionID, caller.UserID, 0)
		})
		t.Logf("revocation %d after %v", n+1, time.Since(began))
		if age, ok := far.Listening(); ok || age < time.Second {
			t.Errorf("it says that it listens: %v, %v", age, ok)
		}
	}
	if _, err := near.RotateKeys(t.Context(), operator, token.EdDSA, true); err != nil {
		t.Fatal(err)
	}
	eventually(t, 4*time.Second, "it knows the new key", func() bool { return bytes.Equal(far.JWKS(), near.JWKS()) })

	relay.Silence(false)
	eventually(t, 20*time.Second, "it listens again", listens)
}

// A Redis that hangs holds up nobody who signs out.
func TestHangingRedisDelaysNoSignOut(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	client := redis.NewClient(&redis.Options{Addr: listener.Addr().String(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	s := edgeWith(t, pgtest.New(t), func(d *authcore.Deps) { d.Redis = client })
	register(t, s, "ada@example.test")
	caller := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	for range 3 {
		signIn(t, s, phone, "ada@example.test")
	}
	began := time.Now()
	if _, err := s.RevokeOtherSessions(t.Context(), caller); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeSession(t.Context(), caller, caller.SessionID); err != nil {
		t.Fatal(err)
	}
	// A single try of the client's takes three seconds.
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
