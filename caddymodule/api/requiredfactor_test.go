package api_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"mana.how/edge/authcore"
	"mana.how/edge/creditcore/billing"
)

// factorSite is a site where everybody needs a second factor.
func factorSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, _ *authcore.Deps) { c.SecondFactorRequired = true })
}

// The API lets who lacks a second factor look after their account, and nothing
// else.
func TestRequiredSecondFactorOverTheAPI(t *testing.T) {
	t.Parallel()
	s := factorSite(t)
	_, token := s.member("ada@example.test")
	cookie := s.cookie("ada@example.test")
	for _, path := range []string{"/api/v1/credits/balance", "/api/v1/settings", "/api/v1/gifts/me/created", "/api/v1/subscriptions/current"} {
		if got := s.send("GET", path, nil, token).status(403); got.text("code") != "SECOND_FACTOR_REQUIRED" || got.text("error") != "SECOND_FACTOR_REQUIRED" ||
			strings.Contains(strings.ToLower(got.body), "invalid token") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	for _, path := range []string{"/api/v1/auth/session", "/api/v1/auth/profile", "/api/v1/auth/two-factor", "/api/v1/auth/sessions", "/api/v1/auth/passkeys", "/api/v1/me/data"} {
		s.send("GET", path, nil, token).status(200)
	}
	if got := s.send("POST", exchangePath, nil, cookie, with("Origin", app)).status(403); got.text("code") != "SECOND_FACTOR_REQUIRED" {
		t.Errorf("the exchange: %s", got.body)
	}
	if got := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); got.body == "null" {
		t.Error("the session is not told")
	}
	access, _ := s.login("ada@example.test")
	if got := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": access}).status(200).object(); got["valid"] != false || got["payload"] != nil ||
		!strings.Contains(got["error"].(string), "Second factor required") {
		t.Errorf("validate: %v", got)
	}
	s.withFactor(token)
	s.send("GET", "/api/v1/credits/balance", nil, token).status(401).message("Invalid token") // by which clients refresh
	s.send("POST", exchangePath, nil, cookie, with("Origin", app)).status(200)
}

const exchangePath = "/api/v1/auth/session-to-token"

var secretOnPage = regexp.MustCompile(`<code>([A-Z2-7]{16,})</code>`)

// Every page that signs in leads to the set-up first, and from there to the
// target.
func TestPagesLeadToTheRequiredSecondFactor(t *testing.T) {
	t.Parallel()
	s := factorSite(t)
	const target = app + "/c/1?x=2"
	setUp := "/account/two-factor?" + url.Values{"required": {"1"}, "returnUrl": {target}}.Encode()
	fields := url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {target}}
	registered := s.form("/register", fields).status(303)
	signedIn := s.form("/login", fields).status(303)
	cookie := cookieOf(t, signedIn)
	for name, got := range map[string]answer{
		"register": registered, "login": signedIn,
		"login again": s.send("GET", "/login?returnUrl="+url.QueryEscape(target), nil, cookie).status(303),
	} {
		if to := got.header.Get("Location"); to != setUp {
			t.Errorf("%s leads to %s", name, to)
		}
	}
	if page := s.send("GET", setUp, nil, cookie).status(200); !strings.Contains(page.body, `value="sign-out"`) {
		t.Errorf("nobody gets out: %s", page.body)
	}
	if to := s.send("GET", "/account", nil, cookie).status(303).header.Get("Location"); to != "/account/two-factor?required=1&returnUrl=%2Faccount" {
		t.Errorf("the account leads to %s", to)
	}
	if to := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {foreign}}).status(303).header.Get("Location"); to != "/account/two-factor?required=1" {
		t.Errorf("a foreign target leads to %s", to)
	}
	page := s.send("GET", setUp, nil, cookie).status(200)
	if !strings.Contains(page.body, "Every account needs a second factor here") || !strings.Contains(page.body, `name="returnUrl" value="`+app+`/c/1?x=2"`) {
		t.Errorf("the page: %s", page.body)
	}
	german := s.send("GET", setUp, nil, cookie, with("Accept-Language", "de")).status(200)
	if !strings.Contains(german.body, "Hier braucht jedes Konto einen zweiten Faktor") {
		t.Errorf("in German: %s", german.body)
	}
	if page := s.send("GET", "/account/two-factor?required=1&returnUrl="+url.QueryEscape(foreign), nil, cookie).status(200); strings.Contains(page.body, foreign) {
		t.Errorf("a foreign target: %s", page.body)
	}
	form := url.Values{"action": {"enroll"}, "password": {testPassword}, "returnUrl": {target}}
	enrolled := s.form("/account/two-factor", form, cookie).status(200)
	secret := secretOnPage.FindStringSubmatch(enrolled.body)
	if secret == nil || !strings.Contains(enrolled.body, "backup codes") {
		t.Fatalf("set up: %s", enrolled.body)
	}
	wrong := s.form("/account/two-factor", url.Values{"action": {"confirm"}, "code": {"000000"}, "returnUrl": {target}}, cookie).status(401)
	if !strings.Contains(wrong.body, `value="`+app+`/c/1?x=2"`) {
		t.Errorf("a wrong code loses the target: %s", wrong.body)
	}
	code, err := totp.GenerateCode(secret[1], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	done := s.form("/account/two-factor", url.Values{"action": {"confirm"}, "code": {code}, "returnUrl": {target}}, cookie).status(303)
	if to := done.header.Get("Location"); to != target {
		t.Errorf("confirmed leads to %s", to)
	}
	s.send("GET", "/account", nil, cookie).status(200)
	if page := s.send("GET", setUp, nil, cookie).status(200); !strings.Contains(page.body, `href="`+app+`/c/1?x=2"`) || strings.Contains(page.body, "Every account needs") {
		t.Errorf("the page afterwards: %s", page.body)
	}
}
