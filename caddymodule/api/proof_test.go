package api_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/creditcore/billing"
)

// mailbox takes notices, as an outbox does.
type mailbox struct {
	mu      sync.Mutex
	notices []notice.Notice
}

func (m *mailbox) PutTx(_ context.Context, _ pgx.Tx, n notice.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices = append(m.notices, n)
	return nil
}

func (*mailbox) Wake() {}

// last is the newest mail, which must be of the kind.
func (m *mailbox) last(t *testing.T, kind notice.Kind) notice.Notice {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.notices) == 0 || m.notices[len(m.notices)-1].Kind != kind {
		t.Fatalf("the mails are %+v, want the last to be %s", m.notices, kind)
	}
	return m.notices[len(m.notices)-1]
}

// strictSite is a site where addresses must be proven.
func strictSite(t *testing.T) (*site, *mailbox) {
	t.Helper()
	mails := new(mailbox)
	return newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, d *authcore.Deps) {
		c.VerificationRequired, d.Mailer = true, mails
	}), mails
}

const registration = `{"email":"ada@example.test","password":"` + testPassword + `","sourceAppUrl":"https://chat.example.test/a/page?x=1"}`

// The contract's walk: register, refused, link, confirmed, signed in.
func TestProofOfAddressOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	got := s.send("POST", "/api/v1/auth/register", registration).status(201)
	if strings.Contains(got.body, "token") || !strings.Contains(got.body, `"emailVerified":false`) {
		t.Errorf("register: %s", got.body)
	}
	link := mails.last(t, notice.VerifyEmail)
	if link.RedirectTo != "https://chat.example.test" {
		t.Errorf("the mail leads to %q", link.RedirectTo)
	}
	const login = `{"email":"ada@example.test","password":"` + testPassword + `"}`
	refused := s.send("POST", "/api/v1/auth/login", login).status(403)
	if refused.text("code") != "EMAIL_NOT_VERIFIED" || refused.text("message") != "Email not verified" {
		t.Errorf("login: %s", refused.body)
	}
	refused = s.send("POST", "/api/auth/sign-in/email", login).status(403)
	if refused.text("code") != "EMAIL_NOT_VERIFIED" || refused.text("message") != "Email not verified" {
		t.Errorf("sign-in/email: %s", refused.body)
	}
	if page := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(403); !strings.Contains(page.body, "/resend-verification?email=ada%40example.test") {
		t.Errorf("sign-in page: %s", page.body)
	}

	query := url.Values{"token": {link.Token}, "callbackURL": {"/"}, "redirectTo": {link.RedirectTo}}
	for _, method := range []string{"GET", "HEAD", "GET"} { // what a mail scanner does
		page := s.send(method, "/api/auth/verify-email?"+query.Encode(), nil, with("Purpose", "prefetch")).status(200)
		if method == "GET" && (!strings.Contains(page.body, link.Token) || page.header.Get("Referrer-Policy") == "") {
			t.Errorf("the page: %v %s", page.header, page.body)
		}
	}
	s.send("POST", "/api/v1/auth/login", login).status(403)
	for range 2 {
		onward := s.form("/api/auth/verify-email", url.Values{"token": {link.Token}, "redirectTo": {link.RedirectTo}}).status(303)
		if to := onward.header.Get("Location"); to != "https://chat.example.test/login?email=ada%40example.test&verified=true" {
			t.Errorf("it leads to %s", to)
		}
	}
	s.send("POST", "/api/v1/auth/login", login).status(200)
	if page := s.send("GET", "/login?verified=true&email=ada%40example.test", nil).status(200); !strings.Contains(page.body, "is confirmed") || !strings.Contains(page.body, `value="ada@example.test"`) {
		t.Errorf("sign-in page: %s", page.body)
	}
}

func TestBadLinksOfMails(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	s.send("POST", "/api/v1/auth/register", registration).status(201)
	link := mails.last(t, notice.VerifyEmail)
	for path, want := range map[string]string{
		"/api/auth/verify-email": base + "/verification-failed?error=missing_token",
		"/api/auth/verify-email?redirectTo=https%3A%2F%2Fchat.example.test%2Fx":               "https://chat.example.test/verification-failed?error=missing_token",
		"/api/auth/verify-email?redirectTo=https%3A%2F%2Fevil.test":                           base + "/verification-failed?error=missing_token",
		"/api/auth/reset-password/tok?callbackURL=https%3A%2F%2Fevil.test%2F":                 base + "/reset-password?token=tok",
		"/api/auth/reset-password/tok?callbackURL=javascript%3Aalert(1)":                      base + "/reset-password?token=tok",
		"/api/auth/reset-password/tok?callbackURL=https%3A%2F%2Fchat.example.test%2Fa%2Fpage": "https://chat.example.test/reset-password?token=tok",
	} {
		if to := s.send("GET", path, nil).status(302).header.Get("Location"); to != want {
			t.Errorf("%s leads to %s, want %s", path, to, want)
		}
	}
	onward := s.form("/api/auth/verify-email", url.Values{"token": {"nonsense"}}).status(303)
	if to := onward.header.Get("Location"); to != base+"/verification-failed?error=invalid_or_expired_token" {
		t.Errorf("a bad token leads to %s", to)
	}
	if page := s.send("GET", "/verification-failed?error=invalid_or_expired_token", nil).status(200); !strings.Contains(page.body, `action="/resend-verification"`) {
		t.Errorf("the page: %s", page.body)
	}
	s.send("POST", "/api/auth/verify-email", "token="+link.Token, asForm, with("Origin", "https://chat.example.test")).status(403)
	s.send("POST", "/api/auth/verify-email", "token="+link.Token, asForm, with("Origin", foreign)).status(403)
	s.send("POST", "/api/auth/verify-email", "token="+link.Token, asForm).status(403)
	s.send("POST", "/api/v1/auth/login", `{"email":"ada@example.test","password":"`+testPassword+`"}`).status(403)
}

// The answers are the same whether there is an account or not.
func TestMailRoutesTellNothing(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	s.send("POST", "/api/v1/auth/register", registration).status(201)
	again := s.send("POST", "/api/v1/auth/register", registration).status(201)
	mails.last(t, notice.VerifyEmail)
	if !strings.Contains(again.body, `"emailVerified":false`) {
		t.Errorf("the second registration: %s", again.body)
	}
	for path, want := range map[string]string{
		"/api/v1/auth/forgot-password":     `{"success":true,"message":"If an account with that email exists, a password reset link has been sent"}`,
		"/api/v1/auth/resend-verification": `{"success":true,"message":"If an account with that email exists, a verification email has been sent"}`,
	} {
		for _, email := range []string{"ada@example.test", "nobody@example.test"} {
			if got := s.send("POST", path, map[string]string{"email": email}).status(200); strings.TrimSpace(got.body) != want {
				t.Errorf("%s of %s: %s", path, email, got.body)
			}
		}
		s.send("POST", path, map[string]string{"email": "no address"}).status(400)
	}
	for path, about := range map[string]string{"/forgot-password": "password", "/resend-verification": "link"} {
		one := s.form(path, url.Values{"email": {"ada@example.test"}}).status(200).body
		other := s.form(path, url.Values{"email": {"nob@example.test"}}).status(200).body
		if len(one) != len(other) || !strings.Contains(one, about) {
			t.Errorf("%s: %s\n%s", path, one, other)
		}
	}
}

func TestResetPasswordOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	s.send("POST", "/api/v1/auth/register", registration).status(201)
	s.send("POST", "/api/v1/auth/forgot-password", `{"email":"ada@example.test","redirectTo":"https://chat.example.test/reset"}`).status(200)
	link := mails.last(t, notice.ResetPassword)
	if link.RedirectTo != "https://chat.example.test" {
		t.Errorf("the mail leads to %q", link.RedirectTo)
	}
	for body, code := range map[string]string{
		`{"token":"` + link.Token + `","newPassword":"short"}`:    "VALIDATION_ERROR",
		`{"token":"` + link.Token + `","newPassword":"password"}`: "PASSWORD_TOO_COMMON",
		`{"newPassword":"a new and long password"}`:               "VALIDATION_ERROR",
	} {
		if got := s.send("POST", "/api/v1/auth/reset-password", body).status(400); got.text("code") != code {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	refused := s.send("POST", "/api/v1/auth/reset-password", `{"token":"nonsense","newPassword":"a new and long password"}`).status(401)
	if refused.text("message") != "Invalid or expired reset token" {
		t.Errorf("a bad token: %s", refused.body)
	}
	got := s.send("POST", "/api/v1/auth/reset-password", `{"token":"`+link.Token+`","newPassword":"a new and long password"}`).status(200)
	if want := `{"success":true,"message":"Password has been reset successfully"}`; strings.TrimSpace(got.body) != want {
		t.Errorf("reset: %s", got.body)
	}
	s.send("POST", "/api/v1/auth/reset-password", `{"token":"`+link.Token+`","newPassword":"a new and long password"}`).status(401)
	s.send("POST", "/api/v1/auth/login", `{"email":"ada@example.test","password":"a new and long password"}`).status(200)
}

func TestPagesOfProof(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	page := s.form("/register", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(200)
	if !strings.Contains(page.body, "ada@example.test") || strings.Contains(strings.Join(page.header["Set-Cookie"], ""), cookieName) {
		t.Errorf("register: %s", page.body)
	}
	mails.last(t, notice.VerifyEmail)
	s.form("/resend-verification", url.Values{"email": {"ada@example.test"}}).status(200)
	s.form("/forgot-password", url.Values{"email": {"ada@example.test"}}).status(200)
	link := mails.last(t, notice.ResetPassword)
	if page := s.send("GET", "/reset-password?token="+link.Token, nil).status(200); !strings.Contains(page.body, link.Token) {
		t.Errorf("the page: %s", page.body)
	}
	if page := s.form("/reset-password", url.Values{"token": {link.Token}, "password": {"password"}}).status(400); !strings.Contains(page.body, "too common") || !strings.Contains(page.body, link.Token) {
		t.Errorf("a common password: %s", page.body)
	}
	if page := s.form("/reset-password", url.Values{"token": {"nonsense"}, "password": {"a new and long password"}}).status(401); !strings.Contains(page.body, "not valid any more") {
		t.Errorf("a bad token: %s", page.body)
	}
	onward := s.form("/reset-password", url.Values{"token": {link.Token}, "password": {"a new and long password"}}).status(http.StatusSeeOther)
	if to := onward.header.Get("Location"); to != "/login?reset=true" {
		t.Errorf("it leads to %s", to)
	}
	s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {"a new and long password"}}).status(303)
}

// Who was on the way somewhere gets there, although a mail lies between.
func TestMailsLeadOn(t *testing.T) {
	t.Parallel()
	s, mails := strictSite(t)
	const target = "https://chat.example.test/room?n=1&m=2"
	ask := base + authorizePath(authorizeQuery("partner", appCallback))
	another := regexp.MustCompile(`href="/forgot-password\?returnUrl=([^"]+)"`)
	for i, to := range []string{target, ask, ""} {
		email := fmt.Sprintf("ada%d@example.test", i)
		s.form("/register", url.Values{"email": {email}, "password": {testPassword}, "returnUrl": {to}}).status(200)
		link := mails.last(t, notice.VerifyEmail)
		onward := s.form("/api/auth/verify-email", url.Values{"token": {link.Token}, "redirectTo": {link.RedirectTo}}).status(303).location()
		if onward.Path != "/login" || onward.Host != "auth.example.test" || onward.Query().Get("verified") != "true" || onward.Query().Get("email") != email || onward.Query().Get("returnUrl") != to {
			t.Errorf("%q: the proven address leads to %s", to, onward)
		}

		if page := s.send("GET", "/login?"+url.Values{"returnUrl": {to}}.Encode(), nil).status(200); to != "" {
			link := another.FindStringSubmatch(page.body)
			if link == nil {
				t.Fatalf("%q: the sign-in page leads to no other password and back: %s", to, page.body)
			}
			if back, err := url.QueryUnescape(html.UnescapeString(link[1])); err != nil || back != to {
				t.Errorf("%q: the sign-in page leads to another password and to %q (%v)", to, back, err)
			}
		}
		s.form("/forgot-password", url.Values{"email": {email}, "returnUrl": {to}}).status(200)
		reset := s.form("/reset-password", url.Values{"token": {mails.last(t, notice.ResetPassword).Token}, "password": {"a new and long password"}}).status(303).location()
		if reset.Path != "/login" || reset.Query().Get("reset") != "true" || reset.Query().Get("returnUrl") != to {
			t.Errorf("%q: another password leads to %s", to, reset)
		}
	}
	// Not to anywhere.
	s.form("/register", url.Values{"email": {"eve@example.test"}, "password": {testPassword}, "returnUrl": {"https://evil.test/"}}).status(200)
	if to := s.form("/api/auth/verify-email", url.Values{"token": {mails.last(t, notice.VerifyEmail).Token}}).status(303).location(); to.Query().Has("returnUrl") || to.Host != "auth.example.test" {
		t.Errorf("a foreign target leads to %s", to)
	}
}
