package authcore_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// An edge whose clock is an hour off does harm to nobody: what it issues is
// refused elsewhere with the texts on which clients refresh, what others issue
// is refused by it, refreshing heals both, and the cookie works everywhere. What
// is revoked is revoked there too.
func TestClockAnHourOff(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			right, off := edge(t, db), edgeAt(t, db, func() time.Time { return time.Now().Add(skew) })
			register(t, right, "ada@example.test")
			for from, to := range map[*authcore.Service]*authcore.Service{right: off, off: right} {
				tokens := signIn(t, from, laptop, "ada@example.test")
				claims, err := from.Verify(t.Context(), tokens.AccessToken)
				if err != nil {
					t.Fatalf("its own token: %v", err)
				}
				if _, err := to.Verify(t.Context(), tokens.AccessToken); !errors.Is(err, token.ErrInvalid) {
					t.Fatalf("a token of another hour: %v", err)
				}
				renewed, err := to.Refresh(t.Context(), laptop, tokens.RefreshToken)
				if err != nil {
					t.Fatalf("refresh: %v", err)
				}
				if _, err := to.Verify(t.Context(), renewed.AccessToken); err != nil {
					t.Errorf("refreshed here, refused here: %v", err)
				}

				browser, err := from.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []*authcore.Service{from, to} {
					if _, err := s.BrowserSession(t.Context(), []string{cookieOf(s, browser.Token)}); err != nil {
						t.Errorf("the cookie: %v", err)
					}
				}

				if err := to.RevokeSession(t.Context(), callerOf(t, to, renewed.AccessToken), claims.SessionID); err != nil {
					t.Fatal(err)
				}
				eventually(t, 5*time.Second, "the session has ended everywhere", func() bool {
					return from.Revoked(claims.SessionID, claims.Subject, claims.AuthEpoch) && to.Revoked(claims.SessionID, claims.Subject, claims.AuthEpoch)
				})
			}
		})
	}
}
