package authcore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestSignOutEndsWhatIsProven(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")

	byToken := signIn(t, s, laptop, "ada@example.test")
	byRefresh := signIn(t, s, laptop, "ada@example.test")
	untouched := signIn(t, s, phone, "ada@example.test")
	for _, out := range []authcore.SignOut{
		{SessionID: byToken.SessionID},
		{RefreshToken: byRefresh.RefreshToken},
		{RefreshToken: "unknown"},
		{},
	} {
		if err := s.SignOut(t.Context(), laptop, out); err != nil {
			t.Fatal(err)
		}
	}
	for _, dead := range []authcore.Tokens{byToken, byRefresh} {
		if _, err := s.Verify(t.Context(), dead.AccessToken); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("an access token outlived its sign-out: %v", err)
		}
		if _, err := s.Refresh(t.Context(), laptop, dead.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
			t.Errorf("a refresh token outlived its sign-out: %v", err)
		}
	}
	if _, err := s.Verify(t.Context(), untouched.AccessToken); err != nil {
		t.Errorf("another session ended too: %v", err)
	}
}

// cookieOf is the Cookie header of a browser that holds the token.
func cookieOf(s *authcore.Service, token string) string {
	pair, _, _ := strings.Cut(s.Cookies().Set(token, true, time.Hour), ";")
	return pair
}

// A session in memory is found by its token and signature: knowing the token
// alone is not enough, though the database has been asked already.
func TestCachedSessionNeedsItsSignature(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	pair := cookieOf(s, browser.Token)
	foreign := cookie.New("https://auth.mana.how", "", []byte("another key of thirty-two bytes!")).Set(browser.Token, true, time.Hour)
	foreign, _, _ = strings.Cut(foreign, ";")
	if name, _, _ := strings.Cut(pair, "="); !strings.HasPrefix(foreign, name+"=") {
		t.Fatalf("the forged cookie is %q, the real one %q", foreign, name)
	}
	for range 2 { // from the database, then from memory
		if _, err := s.BrowserSession(t.Context(), []string{pair}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.BrowserSession(t.Context(), []string{foreign}); !errors.Is(err, authcore.ErrNoCookie) {
			t.Errorf("a forged signature is answered with %v", err)
		}
	}
}

func TestBrowserSessionAndExchange(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	a, b := edge(t, db), edge(t, db)
	register(t, a, "ada@example.test")
	browser, err := a.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{cookieOf(a, "00000000000000000000000000000000"), cookieOf(a, browser.Token)}
	for _, s := range []*authcore.Service{a, b} {
		live, err := s.BrowserSession(t.Context(), cookies)
		if err != nil || live.User().Email != "ada@example.test" || live.Session().ID != browser.Session().ID {
			t.Fatalf("live session: %+v, %v", live.Session(), err)
		}
		bearer, _, err := s.Bearer(t.Context(), live)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := s.Verify(t.Context(), bearer)
		if err != nil || claims.SessionID != browser.Session().ID {
			t.Fatalf("upstream bearer: %+v, %v", claims, err)
		}
	}
	app, err := b.Exchange(t.Context(), laptop, cookies)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Exchange(t.Context(), laptop, cookies)
	if err != nil {
		t.Fatal(err)
	}
	if app.RefreshToken == second.RefreshToken || app.SessionID == second.SessionID || app.SessionID == browser.Session().ID {
		t.Error("two exchanges share a family or a session (W11)")
	}

	if err := a.SignOut(t.Context(), laptop, authcore.SignOut{CookieTokens: []string{browser.Token}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Second, "the cookie is dead on the other edge", func() bool {
		_, err := b.BrowserSession(t.Context(), cookies)
		return errors.Is(err, authcore.ErrNoSession)
	})
	if _, err := b.Exchange(t.Context(), laptop, cookies); !errors.Is(err, authcore.ErrNoSession) {
		t.Errorf("a dead cookie is exchanged: %v", err)
	}
	if _, err := b.Refresh(t.Context(), laptop, app.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("an app outlived the browser session it came from: %v", err)
	}
}

// An exchange that is under way when its browser session is signed out does not
// leave an app session behind.
func TestSignOutOvertakesExchange(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	var app authcore.Tokens
	exchanged, signedOut := make(chan error, 1), make(chan error, 1)
	err = dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		waiting := func(want int64) {
			t.Helper()
			eventually(t, 3*time.Second, "statements wait for each other", func() bool {
				var n int64
				err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks AS l
					WHERE NOT l.granted AND (pg_backend_pid() = ANY(pg_blocking_pids(l.pid)) OR EXISTS (
						SELECT 1 FROM unnest(pg_blocking_pids(l.pid)) AS b WHERE pg_backend_pid() = ANY(pg_blocking_pids(b))))`).Scan(&n)
				return err == nil && n == want
			})
		}
		// The exchange has locked the browser session by then, the sign-out waits for that.
		if _, err := tx.Exec(t.Context(), `SELECT 1 FROM auth.users WHERE id = $1 FOR NO KEY UPDATE`, u.ID); err != nil {
			return err
		}
		go func() {
			var err error
			app, err = s.Exchange(t.Context(), laptop, []string{cookieOf(s, browser.Token)})
			exchanged <- err
		}()
		waiting(1)
		go func() {
			signedOut <- s.SignOut(t.Context(), laptop, authcore.SignOut{CookieTokens: []string{browser.Token}})
		}()
		waiting(2)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-signedOut; err != nil {
		t.Fatal(err)
	}
	if err := <-exchanged; err != nil {
		return // the sign-out came first: nothing is left to outlive it
	}
	if _, err := s.Verify(t.Context(), app.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("the app's access token: %v", err)
	}
	if _, err := s.Refresh(t.Context(), laptop, app.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("the app's refresh token: %v", err)
	}
}

func TestSessionsListAndRevoke(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	register(t, s, "eve@example.test")
	mine := signIn(t, s, laptop, "ada@example.test")
	lost := signIn(t, s, phone, "ada@example.test")
	third := signIn(t, s, phone, "ada@example.test")
	eve := callerOf(t, s, signIn(t, s, phone, "eve@example.test").AccessToken)
	me := callerOf(t, s, mine.AccessToken)

	list, err := s.Sessions(t.Context(), me)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d sessions, %v; want 3", len(list), err)
	}
	for _, ses := range list {
		if ses.ID == lost.SessionID && (ses.IPAddress == nil || *ses.IPAddress != "192.0.2.2" ||
			ses.DeviceName == nil || *ses.DeviceName != "My phone" || ses.UserAgent == nil || *ses.UserAgent != "Phone/1.0") {
			t.Errorf("device not stored (W9): %+v", ses)
		}
	}
	if err := s.RevokeSession(t.Context(), eve, lost.SessionID); !errors.Is(err, authcore.ErrSessionNotFound) {
		t.Errorf("a stranger revokes: %v", err)
	}
	if err := s.RevokeSession(t.Context(), me, lost.SessionID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), lost.AccessToken); err == nil {
		t.Error("the revoked session's token passes")
	}
	n, err := s.RevokeOtherSessions(t.Context(), me)
	if err != nil || n != 1 {
		t.Errorf("revoked %d others, %v; want 1", n, err)
	}
	if _, err := s.Verify(t.Context(), third.AccessToken); err == nil {
		t.Error("another session's token passes")
	}
	if _, _, err := s.Session(t.Context(), me); err != nil {
		t.Errorf("own session: %v", err)
	}
}

func TestPasswordChange(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	mine := signIn(t, s, laptop, "ada@example.test")
	other := signIn(t, s, phone, "ada@example.test")
	me := callerOf(t, s, mine.AccessToken)
	const next = "another fine password"

	if err := s.ChangePassword(t.Context(), me, "wrong password", next); !errors.Is(err, authcore.ErrWrongPassword) {
		t.Fatalf("wrong current password: %v", err)
	}
	var weak *password.Error
	if err := s.ChangePassword(t.Context(), me, testPassword, "password1"); !errors.As(err, &weak) {
		t.Fatalf("common password: %v", err)
	}
	if err := s.ChangePassword(t.Context(), me, testPassword, next); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), phone, other.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("another session outlived the change (W12): %v", err)
	}
	if _, err := s.Verify(t.Context(), mine.AccessToken); err != nil {
		t.Errorf("own session lost: %v", err)
	}
	if _, err := s.SignIn(t.Context(), laptop, "ada@example.test", testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("the old password signs in: %v", err)
	}
	if _, err := s.SignIn(t.Context(), laptop, "ADA@example.test ", next); err != nil {
		t.Errorf("the new password does not (W5): %v", err)
	}
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	tokens := signIn(t, s, laptop, "ada@example.test")
	me := callerOf(t, s, tokens.AccessToken)
	if err := s.DeleteAccount(t.Context(), me, "wrong password", ""); !errors.Is(err, authcore.ErrWrongPassword) {
		t.Fatalf("wrong password: %v", err)
	}
	if err := s.DeleteAccount(t.Context(), me, testPassword, "no reason"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), tokens.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a deleted user's token passes (W10): %v", err)
	}
	if _, err := s.SignIn(t.Context(), laptop, "ada@example.test", testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("a deleted user signs in (W10): %v", err)
	}
	register(t, s, "ada@example.test")
}

func TestLockoutSparesTheOwnersDevice(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	signIn(t, s, laptop, "ada@example.test")
	stranger := principal.Client{IP: phone.IP, DeviceID: "never seen"}
	for i := range 10 {
		if _, err := s.SignIn(t.Context(), stranger, "ada@example.test", "wrong password"); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Fatalf("try %d: %v", i+1, err)
		}
	}
	var locked *authcore.LockedError
	_, err := s.SignIn(t.Context(), stranger, "ada@example.test", testPassword)
	if !errors.As(err, &locked) || locked.RetryAfter < 50*time.Second || locked.RetryAfter > 61*time.Second {
		t.Fatalf("after ten wrong tries: %v", err)
	}
	signIn(t, s, laptop, "ada@example.test")
	for range 10 {
		_, _ = s.SignIn(t.Context(), stranger, "nobody@example.test", "wrong password")
	}
	if _, err := s.SignIn(t.Context(), stranger, "nobody@example.test", "wrong password"); !errors.As(err, &locked) {
		t.Errorf("an unknown account locks otherwise than a known one: %v", err)
	}
}

// Who holds a cookie may exchange it as often as he likes, but does not get ten
// more tries at the password each time.
func TestLockoutCountsExchangedSessionsTogether(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	var locked *authcore.LockedError
	for n := range 20 {
		app, err := s.Exchange(t.Context(), phone, []string{cookieOf(s, browser.Token)})
		if err != nil {
			t.Fatal(err)
		}
		err = s.ChangePassword(t.Context(), callerOf(t, s, app.AccessToken), "a wrong password", "another long password")
		if errors.As(err, &locked) {
			return
		}
		if !errors.Is(err, authcore.ErrWrongPassword) {
			t.Fatalf("try %d: %v", n+1, err)
		}
	}
	t.Error("20 wrong tries, and no lock")
}

func TestRoleChangeCutsOldTokens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	before := signIn(t, s, laptop, "ada@example.test")
	if _, err := s.SetRole(t.Context(), principal.Operator{Name: "test"}, u.ID, principal.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), before.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token with the old role passes: %v", err)
	}
	after, err := s.Refresh(t.Context(), laptop, before.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Verify(t.Context(), after.AccessToken)
	if err != nil || claims.Role != principal.RoleAdmin {
		t.Errorf("after the refresh: %+v, %v", claims, err)
	}
}

// A change of role that overtakes a sign-in or a refresh under way leaves no
// token with the old role behind.
func TestRoleChangeOvertakesIssuing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lock  string // what the issuing statement waits for, after the account was read
		issue func(*testing.T, *authcore.Service, authcore.Tokens) (authcore.Tokens, error)
	}{
		"sign-in": {`SELECT 1 FROM auth.accounts WHERE user_id = $1 FOR UPDATE`,
			func(t *testing.T, s *authcore.Service, _ authcore.Tokens) (authcore.Tokens, error) {
				return s.SignIn(t.Context(), phone, "ada@example.test", testPassword)
			}},
		"refresh": {`SELECT 1 FROM auth.refresh_families WHERE user_id = $1 FOR UPDATE`,
			func(t *testing.T, s *authcore.Service, old authcore.Tokens) (authcore.Tokens, error) {
				return s.Refresh(t.Context(), laptop, old.RefreshToken)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			s := edge(t, db)
			u := register(t, s, "ada@example.test")
			if _, err := s.SetRole(t.Context(), principal.Operator{Name: "test"}, u.ID, principal.RoleAdmin); err != nil {
				t.Fatal(err)
			}
			before := signIn(t, s, laptop, "ada@example.test")

			var issued authcore.Tokens
			done := make(chan error, 1)
			err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), c.lock, u.ID); err != nil {
					return err
				}
				go func() {
					var err error
					issued, err = c.issue(t, s, before)
					done <- err
				}()
				eventually(t, 3*time.Second, "somebody waits for the lock", func() bool {
					var waiting bool
					err := tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted
						AND pid <> pg_backend_pid() AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))`).Scan(&waiting)
					return err == nil && waiting
				})
				_, err := s.SetRole(t.Context(), principal.Operator{Name: "test"}, u.ID, principal.RoleUser)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			claims, err := s.Verify(t.Context(), issued.AccessToken)
			if err == nil && claims.Role != principal.RoleUser {
				t.Errorf("a token of role %s passes after the change to user", claims.Role)
			}
			renewed, err := s.Refresh(t.Context(), laptop, issued.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := s.Verify(t.Context(), renewed.AccessToken); err != nil || claims.Role != principal.RoleUser {
				t.Errorf("after the next refresh: role %s, %v", claims.Role, err)
			}
		})
	}
}

func TestKeyRotationFailsNoToken(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	a, b := edge(t, db), edge(t, db)
	register(t, a, "ada@example.test")
	op := principal.Operator{Name: "test"}
	tokens := []string{signIn(t, a, laptop, "ada@example.test").AccessToken}
	signer := func(token string) string { return strings.Split(token, ".")[0] }
	for range 3 {
		if _, err := a.RotateKeys(t.Context(), op, token.EdDSA, true); err != nil {
			t.Fatal(err)
		}
		last := signer(tokens[len(tokens)-1])
		eventually(t, 5*time.Second, "the new key signs", func() bool {
			return signer(signIn(t, a, laptop, "ada@example.test").AccessToken) != last
		})
		tokens = append(tokens, signIn(t, a, laptop, "ada@example.test").AccessToken)
		for _, s := range []*authcore.Service{a, b} {
			for i, token := range tokens {
				if _, err := s.Verify(t.Context(), token); err != nil {
					t.Fatalf("token %d of %d: %v", i, len(tokens), err)
				}
			}
		}
	}
	announced, err := b.RotateKeys(t.Context(), op, token.EdDSA, false)
	if err != nil || announced.State != token.KeyAnnounced {
		t.Fatalf("announced key: %+v, %v", announced, err)
	}
	keys, err := b.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[token.KeyState]int{}
	for _, k := range keys {
		states[k.State]++
	}
	if states[token.KeySigning] != 1 || states[token.KeyAnnounced] != 1 || states[token.KeyRetiring] != 3 {
		t.Errorf("states %v", states)
	}
}

// Who uses an app and never the browser session it was signed in by stays
// signed in, and is signed out with it still.
func TestExchangedSessionOutlivesItsBrowserSession(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Exchange(t.Context(), laptop, []string{cookieOf(s, browser.Token)})
	if err != nil {
		t.Fatal(err)
	}
	change(t, db, `UPDATE auth.sessions SET expires_at = now() - interval '91 days' WHERE kind = 'browser'`)
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tokens, err = s.Refresh(t.Context(), laptop, tokens.RefreshToken); err != nil {
		t.Fatalf("after the browser session's end: %v", err)
	}
	if err := s.SignOut(t.Context(), laptop, authcore.SignOut{CookieTokens: []string{browser.Token}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), laptop, tokens.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("after signing out by the cookie: %v", err)
	}
	change(t, db, `UPDATE auth.sessions SET expires_at = now() - interval '91 days'`)
	change(t, db, `UPDATE auth.refresh_families SET expires_at = now() - interval '91 days'`)
	for range 2 { // a session goes after those derived from it
		if err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	type left struct{ Sessions int }
	n, err := dbscope.Row[left](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS sessions FROM auth.sessions`)
	if err != nil || n.Sessions > 0 {
		t.Errorf("%d sessions are kept for ever, %v", n.Sessions, err)
	}
}

// What is to end with the old password ends with it, or the password stays.
func TestPasswordChangeIsAtomic(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	mine, other := signIn(t, s, laptop, "ada@example.test"), signIn(t, s, phone, "ada@example.test")
	me := callerOf(t, s, mine.AccessToken)
	const next = "another fine password"
	alter := func(sql string) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), `SET ROLE mana_owner; `+sql+`; RESET ROLE`, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	alter(`ALTER TABLE auth.revocations ADD CONSTRAINT broken CHECK (reason NOT IN ('password_changed', 'account_disabled')) NOT VALID`)
	if err := s.ChangePassword(t.Context(), me, testPassword, next); err == nil {
		t.Fatal("changed, though the other sessions could not be ended")
	}
	if _, err := s.SetDisabled(t.Context(), principal.Operator{Name: "test"}, me.UserID, true); err == nil {
		t.Fatal("disabled, though the sessions could not be ended")
	}
	var err error
	if other, err = s.Refresh(t.Context(), phone, other.RefreshToken); err != nil {
		t.Errorf("the other session, after nothing was done: %v", err)
	}
	alter(`ALTER TABLE auth.revocations DROP CONSTRAINT broken`)
	if err := s.ChangePassword(t.Context(), me, testPassword, next); err != nil {
		t.Fatalf("with the old password once more: %v", err)
	}
	if _, err := s.Refresh(t.Context(), phone, other.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("the other session: %v", err)
	}
}

// A token lives for as long as was said when it was made, and so does its
// revocation: an edge that was told a shorter life since knows it too.
func TestRevocationOutlivesAShorterTokenLife(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	day := edge(t, db, func(c *authcore.Config) { c.AccessTokenTTL = 24 * time.Hour })
	register(t, day, "ada@example.test")
	tokens := signIn(t, day, laptop, "ada@example.test")
	if err := day.SignOut(t.Context(), laptop, authcore.SignOut{SessionID: tokens.SessionID}); err != nil {
		t.Fatal(err)
	}
	change(t, db, `UPDATE auth.revocations SET created_at = created_at - interval '23 hours'`)
	s := edge(t, db, func(c *authcore.Config) { c.AccessTokenTTL = time.Minute })
	if _, err := s.Verify(t.Context(), tokens.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("after a restart with another life of tokens: %v", err)
	}
}

// However often a cookie is exchanged, and whatever is derived from what came of
// it, nobody stays signed in for longer than ninety days without a password.
func TestExchangeDoesNotRestartTheLongestLife(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	change(t, db, `UPDATE auth.sessions SET created_at = now() - interval '90 days' + interval '1 hour'`)
	cookies := []string{cookieOf(s, browser.Token)}
	tokens, err := s.Exchange(t.Context(), phone, cookies)
	if err != nil {
		t.Fatal(err)
	}
	ends := func(what, table string) {
		t.Helper()
		type row struct{ ExpiresAt time.Time }
		list, err := dbscope.Rows[row](t.Context(), db.Pool, dbscope.System(), `SELECT expires_at FROM `+table)
		if err != nil || len(list) == 0 {
			t.Fatal(err)
		}
		for _, r := range list {
			if left := time.Until(r.ExpiresAt); left > time.Hour+time.Minute || left < 50*time.Minute {
				t.Errorf("%s: %s has %v left", what, table, left)
			}
		}
	}
	ends("exchanged", "auth.refresh_families")
	ends("exchanged", "auth.sessions WHERE kind = 'app'")
	if _, err = s.Refresh(t.Context(), phone, tokens.RefreshToken); err != nil {
		t.Fatal(err)
	}
	ends("refreshed", "auth.refresh_families")
	ends("refreshed", "auth.sessions WHERE kind = 'app'")
	if live, err := s.BrowserSession(t.Context(), cookies); err != nil || live.Renewed {
		t.Errorf("the cookie: renewed %v, %v", live.Renewed, err)
	}

	// A session derived from one that was derived.
	change(t, db, `UPDATE auth.sessions SET kind = 'browser', token = 'derived' WHERE kind = 'app'`)
	change(t, db, `UPDATE auth.sessions SET token = $1 WHERE token = 'derived'`, "abcdefghijklmnopqrstuvwxyzABCDEF")
	change(t, db, `UPDATE auth.sessions SET created_at = now() WHERE parent_id IS NOT NULL`)
	if _, err = s.Exchange(t.Context(), phone, []string{cookieOf(s, "abcdefghijklmnopqrstuvwxyzABCDEF")}); err != nil {
		t.Fatal(err)
	}
	ends("exchanged twice", "auth.refresh_families")
}
