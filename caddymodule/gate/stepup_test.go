package gate_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// A gate that asks for a recent proof, or for more factors, lets nobody pass who
// lacks it, and tells each kind of client how to come by it (RFC 9470).
func TestStepUp(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db)
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	bearer, cookie := "Authorization: Bearer "+ada.Tokens.AccessToken, "Cookie: "+ada.Cookie
	page := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	fresh := &gate.Gate{MaxAge: caddy.Duration(15 * time.Minute)}
	factors := &gate.Gate{AMR: []string{"pwd", "mfa"}}
	for _, credential := range []string{bearer, cookie} {
		if _, up := edgetest.Serve(t, edgetest.Gate(s, fresh), edgetest.Ask("GET", "/", credential)); up == nil {
			t.Errorf("%.20s: a fresh sign-in does not pass", credential)
		}
		if _, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{AMR: []string{"pwd"}}), edgetest.Ask("GET", "/", credential)); up == nil {
			t.Errorf("%.20s: the password is not enough for itself", credential)
		}
		w, up := edgetest.Serve(t, edgetest.Gate(s, factors), edgetest.Ask("GET", "/", credential))
		if up != nil || w.Code != http.StatusUnauthorized ||
			w.Header().Get("WWW-Authenticate") != `Bearer error="insufficient_user_authentication", error_description="needs pwd mfa"` ||
			strings.Contains(strings.ToLower(w.Body.String()), "invalid token") {
			t.Errorf("%.20s: one factor: %d, %v, %s", credential, w.Code, w.Header(), w.Body)
		}
	}
	if w, up := edgetest.Serve(t, edgetest.Gate(s, factors), edgetest.Ask("GET", "/pay?x=1", append(page, cookie)...)); up != nil || w.Code != http.StatusFound ||
		!strings.HasSuffix(w.Header().Get("Location"), "/reauthenticate?amr=pwd%2Cmfa&returnUrl=https%3A%2F%2Fchat.example.test%2Fpay%3Fx%3D1") {
		t.Errorf("a page: %d to %s", w.Code, w.Header().Get("Location"))
	}
	// A token that tells nothing of its sign-in is not recent.
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE auth.sessions SET authenticated_at = now() - interval '16 minutes'`); err != nil {
		t.Fatal(err)
	}
	old, err := s.Refresh(t.Context(), edgetest.GateClient, ada.Tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	w, up := edgetest.Serve(t, edgetest.Gate(s, fresh), edgetest.Ask("POST", "/", "Authorization: Bearer "+old.AccessToken))
	if up != nil || w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Bearer error="insufficient_user_authentication", max_age=900` ||
		!strings.Contains(w.Body.String(), `"code":"INSUFFICIENT_USER_AUTHENTICATION"`) {
		t.Errorf("an old sign-in: %d, %v, %s", w.Code, w.Header(), w.Body)
	}
	if _, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{MaxAge: caddy.Duration(time.Hour)}), edgetest.Ask("POST", "/", "Authorization: Bearer "+old.AccessToken)); up == nil {
		t.Error("16 minutes are more than an hour")
	}
	// A browser that comes back again and again is told why.
	headers := append(page, cookie)
	for range 5 {
		if w, _ = edgetest.Serve(t, edgetest.Gate(s, factors), edgetest.Ask("GET", "/", headers...)); w.Code != http.StatusFound {
			break
		}
		for _, c := range w.Result().Cookies() {
			headers = append(page, cookie+"; "+c.Name+"="+c.Value)
		}
	}
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a loop ends in %d", w.Code)
	}
}

func TestStepUpFaults(t *testing.T) {
	t.Parallel()
	for want, g := range map[string]*gate.Gate{
		`"mfaa" is none of`: {AMR: []string{"mfaa"}},
		"less than nothing": {MaxAge: -1},
		"no hold":           {MaxAge: 1, Optional: true},
		"have no hold":      {AMR: []string{"mfa"}, Off: true},
	} {
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", g, err, want)
		}
	}
}
