package authcore_test

import (
	"context"
	"errors"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

func TestVerifyEmail(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var proven []string
	s := hooked(t, db, authcore.Hooks{Verified: func(_ context.Context, u authcore.User) {
		if u.EmailVerified {
			proven = append(proven, u.Email)
		}
	}})
	u := register(t, s, "ada@example.test")
	if u.EmailVerified {
		t.Fatal("a registered address counts as proven")
	}
	before := signIn(t, s, laptop, u.Email)
	op := principal.Operator{Name: "cli:root"}
	for range 2 {
		got, err := s.VerifyEmail(t.Context(), op, u.ID)
		if err != nil || !got.EmailVerified {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if len(proven) != 2 {
		t.Errorf("told of %q", proven)
	}
	if _, err := s.Verify(t.Context(), before.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token that knows nothing of the proof: %v", err)
	}
	if after, err := s.Refresh(t.Context(), laptop, before.RefreshToken); err != nil || !after.User.EmailVerified {
		t.Errorf("the session does not live on: %+v, %v", after.User, err)
	}
	if got := names(t, db, `SELECT event_type || ' by ' || (metadata->>'operator') AS name FROM auth.security_events WHERE event_type = 'email_verified'`); len(got) != 1 || got[0] != "email_verified by cli:root" {
		t.Errorf("events %q", got)
	}
	if _, err := s.VerifyEmail(t.Context(), op, "nobody"); !errors.Is(err, authcore.ErrUserNotFound) {
		t.Errorf("nobody: %v", err)
	}
}
