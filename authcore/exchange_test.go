package authcore_test

import (
	"errors"
	"sync"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// An app that asks for tokens again and again, in several tabs at once, is one
// device, and what one tab got does not end what another one holds.
func TestExchangesOfOneOriginAreOneSession(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	s := edges[0]
	u := register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, u.Email, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(s *authcore.Service, origin string) authcore.Tokens {
		client := laptop
		client.Origin = origin
		tokens, err := s.Exchange(t.Context(), client, []string{cookieOf(s, browser.Token)})
		if err != nil {
			t.Error(err)
		}
		return tokens
	}
	const app, other = "https://chat.example.test", "https://todo.example.test"
	tabs := make([]authcore.Tokens, 6)
	var wg sync.WaitGroup
	for i := range tabs {
		wg.Go(func() { tabs[i] = exchange(edges[i%2], app) })
	}
	wg.Wait()
	apart := exchange(s, other)
	list, err := s.UserSessions(t.Context(), principal.Operator{}, u.ID)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d sessions, want the browser and two apps: %v", len(list), err)
	}
	if apart.SessionID == tabs[0].SessionID {
		t.Error("two apps share a session")
	}
	for i := range tabs {
		if tabs[i].SessionID != tabs[0].SessionID {
			t.Errorf("tab %d has a session of its own", i)
		}
		for range 2 {
			next, err := s.Refresh(t.Context(), laptop, tabs[i].RefreshToken)
			if err != nil {
				t.Fatalf("tab %d: %v", i, err)
			}
			tabs[i] = next
		}
	}

	// A thief of one tab's token ends the session, for all tabs, and no other.
	stale := exchange(s, app)
	for token := stale.RefreshToken; ; {
		next, err := s.Refresh(t.Context(), laptop, token)
		if err != nil {
			t.Fatal(err)
		}
		if token != stale.RefreshToken {
			break
		}
		token = next.RefreshToken
	}
	if _, err := s.Refresh(t.Context(), phone, stale.RefreshToken); !errors.Is(err, authcore.ErrRefreshReused) {
		t.Errorf("reuse: %v", err)
	}
	for i := range tabs {
		if _, err := s.Refresh(t.Context(), laptop, tabs[i].RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) || errors.Is(err, authcore.ErrRefreshReused) {
			t.Errorf("tab %d after the reuse: %v", i, err)
		}
	}
	if _, err := s.Refresh(t.Context(), laptop, apart.RefreshToken); err != nil {
		t.Errorf("the other app: %v", err)
	}

	// Signed in still, the app begins anew, and signing out ends all of it.
	anew, twice := exchange(s, app), exchange(s, app)
	if anew.SessionID == stale.SessionID || anew.SessionID != twice.SessionID {
		t.Errorf("sessions %s and %s after %s was ended", anew.SessionID, twice.SessionID, stale.SessionID)
	}
	if err := s.SignOut(t.Context(), laptop, authcore.SignOut{CookieTokens: []string{browser.Token}}); err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []authcore.Tokens{anew, twice, apart} {
		if _, err := s.Refresh(t.Context(), laptop, tokens.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
			t.Errorf("after signing out: %v", err)
		}
	}
}

// Who signs out of one app signs out of the browser session that its tokens came
// from, and of the other apps of the same sign-in; the app may ask to end alone.
func TestSignOutOfAnAppIsOneSignOut(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	u := register(t, s, "ada@example.test")
	elsewhere := signIn(t, s, phone, u.Email)
	for name, c := range map[string]struct {
		out func(authcore.Tokens) authcore.SignOut
		one bool
	}{
		"by its access token":  {func(app authcore.Tokens) authcore.SignOut { return authcore.SignOut{SessionID: app.SessionID} }, true},
		"by its refresh token": {func(app authcore.Tokens) authcore.SignOut { return authcore.SignOut{RefreshToken: app.RefreshToken} }, true},
		"the app alone": {func(app authcore.Tokens) authcore.SignOut {
			return authcore.SignOut{SessionID: app.SessionID, RefreshToken: app.RefreshToken, AppOnly: true}
		}, false},
	} {
		browser, err := s.SignInBrowser(t.Context(), laptop, u.Email, testPassword, true)
		if err != nil {
			t.Fatal(err)
		}
		cookies := []string{cookieOf(s, browser.Token)}
		exchange := func(origin string) authcore.Tokens {
			client := laptop
			client.Origin = origin
			tokens, err := s.Exchange(t.Context(), client, cookies)
			if err != nil {
				t.Fatal(err)
			}
			return tokens
		}
		app, other := exchange("https://chat.example.test"), exchange("https://shop.example.test")
		if err := s.SignOut(t.Context(), laptop, c.out(app)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(t.Context(), app.AccessToken); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: the app is signed in still: %v", name, err)
		}
		if _, err := s.Verify(t.Context(), other.AccessToken); errors.Is(err, token.ErrInvalid) != c.one {
			t.Errorf("%s: the other app: %v", name, err)
		}
		if _, err := s.BrowserSession(t.Context(), cookies); errors.Is(err, authcore.ErrNoSession) != c.one {
			t.Errorf("%s: the browser session: %v", name, err)
		}
	}
	if _, err := s.Verify(t.Context(), elsewhere.AccessToken); err != nil {
		t.Errorf("the other device: %v", err)
	}
}

// A family that begins while its session is being ended does not outlive it.
func TestExchangeMeetsTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	browser, err := s.SignInBrowser(t.Context(), laptop, u.Email, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	client := laptop
	client.Origin = "https://chat.example.test"
	for range 20 {
		first, err := s.Exchange(t.Context(), client, []string{cookieOf(s, browser.Token)})
		if err != nil {
			t.Fatal(err)
		}
		var second authcore.Tokens
		var wg sync.WaitGroup
		wg.Go(func() { second, _ = s.Exchange(t.Context(), client, []string{cookieOf(s, browser.Token)}) })
		wg.Go(func() { _, _ = s.RevokeUserSession(t.Context(), principal.Operator{}, u.ID, first.SessionID) })
		wg.Wait()
		if second.SessionID == first.SessionID {
			if _, err := s.Refresh(t.Context(), laptop, second.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
				t.Fatalf("the family outlives its session: %v", err)
			}
		} else if _, err := s.Refresh(t.Context(), laptop, second.RefreshToken); err != nil {
			t.Fatalf("the next session is dead: %v", err)
		}
	}
}
