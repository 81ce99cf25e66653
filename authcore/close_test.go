package authcore_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/authcore"
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
	watch := &authcore.Watch{SessionID: c.SessionID, UserID: c.Subject, Revoked: func() { close(ended) }}
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
	if _, err := s.Verify(t.Context(), tokens.AccessToken); !errors.Is(err, authcore.ErrInvalidToken) {
		t.Errorf("a token verifies: %v", err)
	}
	if !s.Revoked(c.SessionID, c.Subject, c.AuthEpoch) {
		t.Error("a session counts as not revoked")
	}
}
