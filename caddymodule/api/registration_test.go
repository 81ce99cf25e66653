package api_test

import (
	"net/url"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/internal/dbscope"
)

func TestClosedRegistration(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *api.Config, _ *api.Deps) { c.RegistrationClosed = true })
	for _, body := range []string{
		`{"email":"ada@example.test","password":"` + testPassword + `"}`, `{}`, `not JSON`,
	} {
		got := s.send("POST", "/api/v1/auth/register", body).status(403)
		if got.text("code") != "REGISTRATION_CLOSED" || got.text("error") != "REGISTRATION_CLOSED" {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	fields := url.Values{"email": {"ada@example.test"}, "password": {testPassword}}
	const sorry = "New accounts are not being created here at present."
	for name, got := range map[string]answer{
		"form": s.form("/register", fields).status(403),
		"page": s.send("GET", "/register", nil).status(403),
		"link": s.send("GET", "/login", nil).status(200),
	} {
		if page := got.body; !strings.Contains(page, sorry) || strings.Contains(page, `href="/register`) || strings.Contains(page, `action="/register"`) {
			t.Errorf("%s: %s", name, page)
		}
	}
	got := s.send("GET", "/api/v1/auth/signup-status", nil).status(200)
	if want := `{"open":false,"reason":"registration closed"}`; strings.TrimSpace(got.body) != want {
		t.Errorf("status: %s", got.body)
	}
	accounts, err := dbscope.Row[struct{ N int }](t.Context(), s.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.users`)
	if err != nil || accounts.N != 0 {
		t.Errorf("%d accounts, %v", accounts.N, err)
	}
}

func TestOpenRegistration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.send("GET", "/api/v1/auth/signup-status", nil).status(200)
	if want := `{"open":true}`; strings.TrimSpace(got.body) != want {
		t.Errorf("status: %s", got.body)
	}
	if page := s.send("GET", "/login", nil).status(200); !strings.Contains(page.body, `href="/register`) {
		t.Errorf("link: %s", page.body)
	}
}
