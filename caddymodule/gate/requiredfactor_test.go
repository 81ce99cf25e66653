package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// Who lacks the second factor that everybody needs reaches no app: a page load
// goes to the set-up, everything else is told.
func TestGateRequiresASecondFactor(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db, func(c *authcore.Config) { c.SecondFactorRequired = true })
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	bearer, cookie := "Authorization: Bearer "+ada.Tokens.AccessToken, "Cookie: "+ada.Cookie
	page := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	refused := func(name string, g *gate.Gate, headers ...string) {
		t.Helper()
		w, up := edgetest.Serve(t, edgetest.Gate(s, g), edgetest.Ask("GET", "/", headers...))
		if up != nil || w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"code":"SECOND_FACTOR_REQUIRED"`) ||
			strings.Contains(strings.ToLower(w.Body.String()), "invalid token") {
			t.Errorf("%s: %d, %s", name, w.Code, w.Body)
		}
	}
	refused("a token", &gate.Gate{}, bearer)
	refused("a token of a page load", &gate.Gate{}, append(page, bearer)...)
	refused("a cookie", &gate.Gate{}, cookie)
	refused("a page load that is not led", &gate.Gate{Login: "never"}, append(page, cookie)...)
	refused("a role that may pass", &gate.Gate{Roles: []string{"user"}}, bearer)
	headers := append(page, cookie)
	for range 6 { // as often as somebody likes
		w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/pay?x=1", headers...))
		if to := w.Header().Get("Location"); up != nil || w.Code != http.StatusFound ||
			to != edgetest.GateBase+"/account/two-factor?required=1&returnUrl=https%3A%2F%2Fchat.example.test%2Fpay%3Fx%3D1" {
			t.Fatalf("a page load: %d to %s", w.Code, to)
		}
		for _, c := range w.Result().Cookies() {
			headers = append(page, cookie+"; "+c.Name+"="+c.Value)
		}
	}
	for _, credential := range []string{bearer, cookie} {
		_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Optional: true}), edgetest.Ask("GET", "/", credential))
		if up == nil || up.Header.Get("X-Mana-User-Id") != "" || up.Header.Get("Authorization") != "" || strings.Contains(up.Header.Get("Cookie"), "session_token") {
			t.Errorf("%.20s: where guests pass: %v", credential, up)
		}
	}

	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
		`INSERT INTO auth.two_factor_auth (user_id, secret, enabled) VALUES ($1, 'sealed', true)`, ada.User.ID); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Refresh(t.Context(), edgetest.GateClient, ada.Tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Authorization: Bearer "+fresh.AccessToken)); up == nil {
		t.Error("a token of who has one does not pass")
	}
	edgetest.Eventually(t, "the cookie passes", func() bool {
		_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", cookie))
		return up != nil
	})
}
