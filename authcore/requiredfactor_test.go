package authcore_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

func requireFactor(c *authcore.Config) { c.SecondFactorRequired = true }

func browserOf(t testing.TB, s *authcore.Service, cookie string) authcore.BrowserSession {
	t.Helper()
	b, err := s.BrowserSession(t.Context(), []string{cookie})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Where a second factor is required, every edge knows at once who has one: from
// the token, and from the cookie.
func TestRequiredSecondFactor(t *testing.T) {
	t.Parallel()
	db, clock := pgtest.New(t), new(wallClock)
	one := edgeAt(t, db, clock.now, requireFactor)
	other := edgeAt(t, db, clock.now, requireFactor)
	operator := principal.Operator{Name: "test"}
	u := register(t, one, ada)
	tokens := signIn(t, one, laptop, ada)
	b, err := one.SignInBrowser(t.Context(), laptop, ada, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(one.Cookies().Set(b.Token, true, time.Hour), ";")

	// lacks is what an edge thinks of a token and of the cookie.
	lacks := func(s *authcore.Service, access string) (byToken, byCookie bool) {
		t.Helper()
		claims, err := s.Verify(t.Context(), access)
		if err != nil {
			t.Fatal(err)
		}
		return s.TokenLacksSecondFactor(&claims), s.LacksSecondFactor(browserOf(t, s, cookie))
	}
	// changed waits until tokens from before are refused everywhere, and gives a new one.
	changed := func(what string) {
		t.Helper()
		for _, s := range []*authcore.Service{one, other} {
			eventually(t, 10*time.Second, what+" refuses older tokens", func() bool {
				_, err := s.Verify(t.Context(), tokens.AccessToken)
				return errors.Is(err, token.ErrInvalid)
			})
		}
		if tokens, err = other.Refresh(t.Context(), laptop, tokens.RefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, missing bool) {
		t.Helper()
		for name, s := range map[string]*authcore.Service{"one": one, "other": other} {
			if byToken, byCookie := lacks(s, tokens.AccessToken); byToken != missing || byCookie != missing {
				t.Errorf("%s, edge %s: by token %v, by cookie %v, want %v", what, name, byToken, byCookie, missing)
			}
		}
		_, err := other.Exchange(t.Context(), phone, []string{cookie})
		if errors.Is(err, authcore.ErrSecondFactorMissing) != missing || err != nil && !missing {
			t.Errorf("%s: the exchange says %v", what, err)
		}
	}
	want("at the beginning", true)

	c := callerOf(t, one, tokens.AccessToken)
	enrolled, err := one.EnrollTwoFactor(t.Context(), c, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	want("set up and not confirmed", true)
	uri, err := url.Parse(enrolled.URI)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.ConfirmTwoFactor(t.Context(), c, (authenticator{uri.Query().Get("secret"), clock}).code(t)); err != nil {
		t.Fatal(err)
	}
	changed("an authenticator")
	want("with an authenticator", false)
	addPasskey(t, one, c, deviceWithPasskeys())
	if _, err := one.Verify(t.Context(), tokens.AccessToken); err != nil {
		t.Errorf("the second way ends tokens: %v", err)
	}
	if err := other.ResetTwoFactor(t.Context(), operator, u.ID); err != nil {
		t.Fatal(err)
	}
	want("with a passkey alone", false)
	keys, err := one.Passkeys(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.RemovePasskey(t.Context(), c, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	changed("the removal")
	want("without any", true)

	if _, err := one.SetRole(t.Context(), operator, u.ID, principal.RoleService); err != nil {
		t.Fatal(err)
	}
	changed("the role")
	want("an account of a service", false)
}

// A token of an edge that requires none says nothing, and is made anew.
func TestRequiredSecondFactorOfOlderTokens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	lenient, strict := edge(t, db), edge(t, db, requireFactor)
	register(t, lenient, ada)
	before := signIn(t, lenient, laptop, ada)
	if claims, err := lenient.Verify(t.Context(), before.AccessToken); err != nil || claims.SecondFactor != token.FactorUnknown || lenient.TokenLacksSecondFactor(&claims) {
		t.Errorf("where none is required: %+v, %v", claims, err)
	}
	if _, err := strict.Verify(t.Context(), before.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("where one is: %v", err)
	}
	after, err := strict.Refresh(t.Context(), laptop, before.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := strict.Verify(t.Context(), after.AccessToken)
	if err != nil || !strict.TokenLacksSecondFactor(&claims) {
		t.Errorf("refreshed: %+v, %v", claims, err)
	}
	if claims, err := lenient.Verify(t.Context(), after.AccessToken); err != nil || lenient.TokenLacksSecondFactor(&claims) {
		t.Errorf("back where none is required: %+v, %v", claims, err)
	}
}
