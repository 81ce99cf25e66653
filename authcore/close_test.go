package authcore_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// A closed service hears of no revocation any more, so it lets nothing pass
// that it still remembers, and ends what is open.
func TestClosedServiceRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	tokens := signIn(t, s, laptop, "ada@example.test")
	c, err := s.Verify(t.Context(), tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if s.Watching() {
		t.Error("it watches nothing, and says it does")
	}
	ended := make(chan struct{})
	watch := &revocation.Watch{SessionID: c.SessionID, UserID: c.Subject, Revoked: func() { close(ended) }}
	s.Watch(watch)
	if !s.Watching() {
		t.Error("it watches, and says it does not")
	}

	s.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("what was open goes on")
	}
	s.Unwatch(watch)
	if _, err := s.Verify(t.Context(), tokens.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token verifies: %v", err)
	}
	if !s.Revoked(c.SessionID, c.Subject, c.AuthEpoch) {
		t.Error("a session counts as not revoked")
	}
}

// A reload makes another service: what the one before ran in the background ends
// with it.
func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	db := pgtest.New(t)
	life := func(t *testing.T) { edge(t, db).Close() }
	t.Run("first", life) // which starts what the process starts once
	before := runtime.NumGoroutine()
	for range 5 {
		t.Run("another", life)
		t.Run("without its database", func(t *testing.T) {
			_, err := authcore.New(t.Context(), authcore.Config{BaseURL: "https://auth.example.test", Secrets: someSecrets(t)},
				authcore.Deps{Pool: closedPool(t, db), ListenDSN: db.DSN})
			if err == nil {
				t.Error("it starts without its database")
			}
		})
	}
	after := runtime.NumGoroutine()
	for deadline := time.Now().Add(5 * time.Second); after > before && time.Now().Before(deadline); after = runtime.NumGoroutine() {
		time.Sleep(10 * time.Millisecond)
	}
	if after > before {
		t.Errorf("%d goroutines before, %d after five services", before, after)
	}
}

func someSecrets(t *testing.T) secret.Keys {
	t.Helper()
	keys, err := secret.New(testKey, "")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func closedPool(t *testing.T, db *pgtest.Database) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	return pool
}
