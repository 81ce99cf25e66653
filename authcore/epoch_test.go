package authcore_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

var operator = principal.Operator{Name: "test"}

// No clock decides who is still an admin: what an edge that is ahead issued
// before the role was taken, the account barred or closed is refused by every
// edge, when its time comes too, and after a restart.
func TestNoClockDecidesWhoIsAnAdmin(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *authcore.Service, principal.Caller){
		"role taken": func(t *testing.T, s *authcore.Service, c principal.Caller) {
			if _, err := s.SetRole(t.Context(), operator, c.UserID, principal.RoleUser); err != nil {
				t.Fatal(err)
			}
		},
		"barred, and let in again": func(t *testing.T, s *authcore.Service, c principal.Caller) {
			for _, disabled := range []bool{true, false} {
				if _, err := s.SetDisabled(t.Context(), operator, c.UserID, disabled); err != nil {
					t.Fatal(err)
				}
			}
		},
		"deleted": func(t *testing.T, s *authcore.Service, c principal.Caller) {
			if err := s.DeleteAccount(t.Context(), c, testPassword, ""); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, skew := range []time.Duration{20 * time.Second, time.Hour, -20 * time.Second} {
			t.Run(name+" "+skew.String(), func(t *testing.T) {
				t.Parallel()
				db := pgtest.New(t)
				later := func() time.Time { return time.Now().Add(skew) }
				right, off := edge(t, db), edgeAt(t, db, later)
				u := register(t, right, "ada@example.test")
				if _, err := right.SetRole(t.Context(), operator, u.ID, principal.RoleAdmin); err != nil {
					t.Fatal(err)
				}
				tokens := signIn(t, off, laptop, "ada@example.test")
				c, err := off.Verify(t.Context(), tokens.AccessToken)
				if err != nil || c.Role != principal.RoleAdmin {
					t.Fatalf("before: %+v, %v", c, err)
				}
				end(t, right, principal.Caller{UserID: c.Subject, SessionID: c.SessionID, Client: laptop})

				// The edges' clocks as they are, and once the token's time has come.
				for which, s := range map[string]*authcore.Service{
					"the same": right, "ahead": off, "new": edge(t, db), "new, at the token's time": edgeAt(t, db, later),
				} {
					eventually(t, 3*time.Second, which+" edge refuses it", func() bool {
						_, err := s.Verify(t.Context(), tokens.AccessToken)
						return errors.Is(err, token.ErrInvalid)
					})
					eventually(t, 3*time.Second, which+" edge knows the epoch", func() bool {
						return s.Revoked("another session", c.Subject, c.AuthEpoch)
					})
				}
			})
		}
	}
}

// What comes after the change is taken at once: no second has to pass.
func TestNextEpochIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, other := edge(t, db), edge(t, db)
	u := register(t, s, "ada@example.test")
	before := signIn(t, s, laptop, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{cookieOf(s, browser.Token)}
	app, err := s.Exchange(t.Context(), phone, cookies)
	if err != nil {
		t.Fatal(err)
	}
	for n, role := range []principal.Role{principal.RoleAdmin, principal.RoleUser, principal.RoleService} {
		changed, err := s.SetRole(t.Context(), operator, u.ID, role)
		if err != nil || changed.AuthEpoch != int32(n+1) {
			t.Fatalf("change %d: epoch %d, %v", n+1, changed.AuthEpoch, err)
		}
		if before, err = s.Refresh(t.Context(), laptop, before.RefreshToken); err != nil {
			t.Fatal(err)
		}
		if app, err = s.Refresh(t.Context(), phone, app.RefreshToken); err != nil {
			t.Fatalf("exchanged from the cookie: %v", err)
		}
		for _, at := range []*authcore.Service{s, other} {
			for _, token := range []string{before.AccessToken, app.AccessToken} {
				if c, err := at.Verify(t.Context(), token); err != nil || c.Role != role || c.AuthEpoch != changed.AuthEpoch {
					t.Fatalf("change %d: %+v, %v", n+1, c, err)
				}
			}
			eventually(t, 3*time.Second, "the cookie has the new role", func() bool {
				live, err := at.BrowserSession(t.Context(), cookies)
				if err != nil {
					t.Fatal(err)
				}
				_, claims, err := at.Bearer(t.Context(), live)
				return err == nil && claims.Role == role && claims.AuthEpoch == changed.AuthEpoch
			})
		}
	}
}

// email_verified is in the tokens of every way to get one, and follows the
// account: in the next token, and at once where a browser session is in memory.
func TestEmailVerifiedFollowsTheAccount(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	u := register(t, edges[0], "ada@example.test")
	browser, err := edges[0].SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{cookieOf(edges[0], browser.Token)}
	byCookie := func(s *authcore.Service) bool {
		t.Helper()
		live, err := s.BrowserSession(t.Context(), cookies)
		if err != nil {
			t.Fatal(err)
		}
		token, claims, err := s.Bearer(t.Context(), live)
		if err != nil {
			t.Fatal(err)
		}
		if said, err := s.Verify(t.Context(), token); err != nil || said.EmailVerified != claims.EmailVerified {
			t.Fatalf("the token says %v, the claims %v, %v", said.EmailVerified, claims.EmailVerified, err)
		}
		return claims.EmailVerified
	}
	tokens := signIn(t, edges[0], laptop, "ada@example.test")
	for _, verified := range []bool{false, true, false} {
		if verified != byCookie(edges[0]) {
			change(t, db, `UPDATE auth.users SET email_verified = $2 WHERE id = $1`, u.ID, verified)
		}
		for _, s := range edges {
			eventually(t, 3*time.Second, "the cookie's session follows", func() bool { return byCookie(s) == verified })
		}
		signedIn := signIn(t, edges[0], laptop, "ada@example.test")
		if tokens, err = edges[0].Refresh(t.Context(), laptop, tokens.RefreshToken); err != nil {
			t.Fatal(err)
		}
		exchanged, err := edges[1].Exchange(t.Context(), phone, cookies)
		if err != nil {
			t.Fatal(err)
		}
		for way, token := range map[string]string{"sign-in": signedIn.AccessToken, "refresh": tokens.AccessToken, "exchange": exchanged.AccessToken} {
			if c, err := edges[1].Verify(t.Context(), token); err != nil || c.EmailVerified != verified {
				t.Errorf("%s: email_verified is %v, want %v, %v", way, c.EmailVerified, verified, err)
			}
		}
	}
}
