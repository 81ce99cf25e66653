package api_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore/billing"
)

// inviteSite is a site where accounts are made by invitation only.
func inviteSite(t *testing.T) (s *site, invite func(email string) string) {
	t.Helper()
	mails := new(mailbox)
	s = newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, d *authcore.Deps) {
		c.InvitationRequired, c.VerificationRequired, d.Mailer = true, true, mails
	}, func(c *api.Config, _ *api.Deps) { c.InvitationRequired = true })
	return s, func(email string) string {
		t.Helper()
		if _, err := s.auth.InviteUser(t.Context(), principal.Operator{Name: "test"}, email, principal.RoleUser, 24*time.Hour, ""); err != nil {
			t.Fatal(err)
		}
		return mails.last(t, notice.AccountInvitation).Token
	}
}

func TestRegistrationByInvitation(t *testing.T) {
	t.Parallel()
	s, invite := inviteSite(t)
	if got := s.send("GET", "/api/v1/auth/signup-status", nil).status(200); strings.TrimSpace(got.body) != `{"open":false,"reason":"invite"}` {
		t.Errorf("status: %s", got.body)
	}
	body := map[string]any{"email": "ada@example.test", "password": testPassword}
	if got := s.send("POST", "/api/v1/auth/register", body).status(403); got.text("code") != "REGISTRATION_CLOSED" {
		t.Errorf("without: %s", got.body)
	}
	token := invite("ada@example.test")
	body["invitation"] = strings.Repeat("A", 43)
	guessed := s.send("POST", "/api/v1/auth/register", body).status(403)
	body["invitation"], body["email"] = token, "eve@example.test"
	if other := s.send("POST", "/api/v1/auth/register", body).status(403); guessed.text("code") != "INVALID_INVITATION" || other.text("message") != guessed.text("message") {
		t.Errorf("guessed: %s; of another address: %s", guessed.body, other.body)
	}
	body["email"] = "ada@example.test"
	if got := s.send("POST", "/api/v1/auth/register", body).status(201); !strings.Contains(got.body, `"emailVerified":true`) {
		t.Errorf("with: %s", got.body)
	}
	s.login("ada@example.test")
	s.send("POST", "/api/v1/auth/register", body).status(403)
}

func TestPagesOfInvitations(t *testing.T) {
	t.Parallel()
	s, invite := inviteSite(t)
	const sorry = "Accounts are created by invitation only here."
	fields := url.Values{"email": {"ada@example.test"}, "password": {testPassword}}
	for name, got := range map[string]answer{
		"page": s.send("GET", "/register", nil).status(403), "form": s.form("/register", fields).status(403), "login": s.send("GET", "/login", nil).status(200),
	} {
		if !strings.Contains(got.body, sorry) || strings.Contains(got.body, `href="/register`) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	for _, bad := range []string{"nonsense", strings.Repeat("A", 43), strings.Repeat("x", 300)} {
		if got := s.send("GET", "/register?invitation="+bad, nil).status(403); !strings.Contains(got.body, "This invitation is not valid any more") {
			t.Errorf("%.10s: %s", bad, got.body)
		}
	}
	token := invite("ada@example.test")
	link := "/register?invitation=" + token
	for _, method := range []string{"GET", "HEAD", "GET"} { // what a mail scanner does
		if page := s.send(method, link, nil).status(200); method == "GET" && (!strings.Contains(page.body, `value="ada@example.test" readonly`) || !strings.Contains(page.body, token)) {
			t.Errorf("the page: %s", page.body)
		}
	}
	fields.Set("invitation", token)
	fields.Set("password", "short")
	if again := s.form("/register", fields).status(400); !strings.Contains(again.body, token) || !strings.Contains(again.body, " readonly") {
		t.Errorf("a short password loses the invitation: %s", again.body)
	}
	// The address is that of the invitation, whatever the form says.
	fields.Set("password", testPassword)
	fields.Set("email", "eve@example.test")
	done := s.form("/register", fields).status(303)
	if to := done.header.Get("Location"); to != "/account" {
		t.Errorf("leads to %s", to)
	}
	if got := s.send("GET", "/api/auth/get-session", nil, cookieOf(t, done)).status(200); !strings.Contains(got.body, "ada@example.test") {
		t.Errorf("signed in as %s", got.body)
	}
	s.form("/register", fields).status(403)
	s.send("POST", "/register", fields.Encode(), asForm, with("Origin", foreign)).status(403)
}
