package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/passkeytest"
)

// mailSite is a site whose mails are kept, and an account that is proven.
func mailSite(t *testing.T) (*site, *mailbox) {
	t.Helper()
	mails := new(mailbox)
	s := newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, d *authcore.Deps) { d.Mailer = mails })
	s.register("ada@example.test")
	s.change(`UPDATE auth.users SET email_verified = true`)
	return s, mails
}

// change alters rows behind the service's back.
func (s *site) change(sql string, args ...any) {
	s.Helper()
	if _, err := dbscope.Exec(s.Context(), s.db.Pool, dbscope.System(), sql, args...); err != nil {
		s.Fatal(err)
	}
}

// setCookie is a cookie of an answer, as a browser sends it back.
func setCookie(a answer, name string) (header, *http.Cookie) {
	a.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "__Host-"+name {
			return with("Cookie", c.Name+"="+c.Value), c
		}
	}
	a.Fatalf("no cookie %s: %v", name, a.header)
	return nil, nil
}

// withFactor sets a second factor up over the API. codes gives codes, each of
// another time step: what was taken is forgotten.
func (s *site) withFactor(token header) (code func() string, backup []string) {
	s.Helper()
	made := s.send("POST", "/api/auth/two-factor/enable", `{"password":"`+testPassword+`"}`, token).status(200)
	var enrolled struct {
		TOTPURI     string
		BackupCodes []string
	}
	if err := json.Unmarshal([]byte(made.body), &enrolled); err != nil || len(enrolled.BackupCodes) != 10 {
		s.Fatalf("%s, %v", made.body, err)
	}
	uri, err := url.Parse(enrolled.TOTPURI)
	if err != nil {
		s.Fatal(err)
	}
	code = func() string {
		s.Helper()
		s.change(`UPDATE auth.two_factor_auth SET last_step = 0`)
		text, err := totp.GenerateCode(uri.Query().Get("secret"), time.Now())
		if err != nil {
			s.Fatal(err)
		}
		return text
	}
	if got := s.send("POST", "/api/auth/two-factor/verify-totp", map[string]any{"code": code()}, token).status(200); got.body != `{"status":true}`+"\n" && got.body != `{"status":true}` {
		s.Fatalf("confirmed: %s", got.body)
	}
	return code, enrolled.BackupCodes
}

const loginAda = `{"email":"ada@example.test","password":"` + testPassword + `"}`

// The wire of section 1 of the contract, as the app and the browser client speak
// it.
func TestSecondFactorOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	access, _ := s.login("ada@example.test")
	token := bearer(access)
	if got := s.send("GET", "/api/v1/auth/two-factor", nil, token).status(200); strings.TrimSpace(got.body) != `{"enabled":false,"methods":[],"backupCodesLeft":0,"trustedDevices":0}` {
		t.Errorf("before: %s", got.body)
	}
	s.send("POST", "/api/auth/two-factor/enable", `{"password":"wrong"}`, token).status(401)
	s.send("POST", "/api/auth/two-factor/enable", `{"password":"`+testPassword+`"}`).status(401)
	s.send("POST", "/api/auth/two-factor/enable", `{"password":"`+testPassword+`"}`, s.cookie("ada@example.test"), with("Origin", foreign)).status(403)
	code, backup := s.withFactor(token)
	mails.last(t, notice.FactorAdded)

	needed := s.send("POST", "/api/v1/auth/login", loginAda).status(409)
	_, set := setCookie(needed, "mana.two_factor")
	details, _ := needed.object()["details"].(map[string]any)
	challenge, _ := details["challenge"].(string)
	if needed.text("code") != "TWO_FACTOR_REQUIRED" || needed.text("error") != "TWO_FACTOR_REQUIRED" ||
		needed.text("message") != "Two-factor authentication required: sign in at "+base+"/login" || challenge == "" || details["expiresIn"] != 600.0 ||
		set.MaxAge != 600 || !set.HttpOnly || !set.Secure || set.Domain != "" || set.Value != challenge {
		t.Errorf("login: %s, %+v", needed.body, set)
	}
	wrong := s.send("POST", "/api/v1/auth/login/second-factor", map[string]any{"challenge": challenge, "code": "000000"}).status(401)
	if wrong.text("code") != "TWO_FACTOR_FAILED" || wrong.text("message") != "Invalid two-factor code" {
		t.Errorf("a wrong code: %s", wrong.body)
	}
	done := s.send("POST", "/api/v1/auth/login/second-factor", map[string]any{"challenge": challenge, "code": code(), "method": "totp", "deviceName": "Phone"}).status(200)
	if done.text("accessToken") == "" || done.text("refreshToken") == "" {
		t.Errorf("completed: %s", done.body)
	}
	late := s.send("POST", "/api/v1/auth/login/second-factor", map[string]any{"challenge": challenge, "code": code()}).status(401)
	if late.text("code") != "TWO_FACTOR_EXPIRED" || strings.Contains(strings.ToLower(late.body), "invalid token") {
		t.Errorf("used up: %s", late.body)
	}

	// The browser client.
	browser := s.send("POST", "/api/auth/sign-in/email", loginAda, with("Origin", app)).status(200)
	if got := browser.object(); got["twoFactorRedirect"] != true || got["token"] != nil || browser.session() != nil || len(got["twoFactorMethods"].([]any)) != 2 {
		t.Errorf("sign-in/email: %s", browser.body)
	}
	cookie, _ := setCookie(browser, "mana.two_factor")
	wrong = s.send("POST", "/api/auth/two-factor/verify-totp", `{"code":"000000"}`, cookie, with("Origin", app)).status(401)
	if wrong.text("code") != "TWO_FACTOR_FAILED" || wrong.text("message") != "Invalid two-factor code" {
		t.Errorf("verify-totp: %s", wrong.body)
	}
	s.send("POST", "/api/auth/two-factor/verify-totp", map[string]any{"code": code()}, cookie, with("Origin", foreign)).status(403)
	signed := s.send("POST", "/api/auth/two-factor/verify-totp", map[string]any{"code": code(), "trustDevice": true}, cookie, with("Origin", app)).status(200)
	if signed.session() == nil || signed.text("token") == "" || signed.object()["user"].(map[string]any)["email"] != "ada@example.test" {
		t.Errorf("verify-totp: %s, %v", signed.body, signed.header)
	}
	tokens := s.send("POST", "/api/v1/auth/session-to-token", nil, cookieOf(t, signed), with("Origin", app)).status(200)
	claims := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": tokens.text("accessToken")}).status(200)
	if !strings.Contains(claims.body, `"amr":["pwd","otp","mfa"]`) || !strings.Contains(claims.body, `"auth_time":`) {
		t.Errorf("validate: %s", claims.body)
	}
	trusted, set := setCookie(signed, "mana.trusted_device")
	if set.MaxAge != 30*24*3600 || !set.HttpOnly || !set.Secure {
		t.Errorf("%+v", set)
	}
	if again := s.send("POST", "/api/auth/sign-in/email", loginAda, trusted, with("Origin", app)).status(200); again.session() == nil {
		t.Errorf("a trusted device: %s", again.body)
	}
	s.send("POST", "/api/v1/auth/login", loginAda, trusted).status(200)

	// A backup code, by the challenge in the body.
	needed = s.send("POST", "/api/v1/auth/login", loginAda).status(409)
	challenge, _ = needed.object()["details"].(map[string]any)["challenge"].(string)
	if got := s.send("POST", "/api/auth/two-factor/verify-backup-code", map[string]any{"code": backup[3], "challenge": challenge}).status(200); got.session() == nil {
		t.Errorf("verify-backup-code: %s", got.body)
	}
	fresh := s.send("POST", "/api/auth/two-factor/generate-backup-codes", `{"password":"`+testPassword+`"}`, token).status(200)
	if got := fresh.object(); got["status"] != true || len(got["backupCodes"].([]any)) != 10 {
		t.Errorf("generate-backup-codes: %s", fresh.body)
	}
	if got := s.send("GET", "/api/v1/auth/two-factor", nil, token).status(200); strings.TrimSpace(got.body) != `{"enabled":true,"methods":["totp","backup_code"],"backupCodesLeft":10,"trustedDevices":1}` {
		t.Errorf("after: %s", got.body)
	}
	if got := s.send("POST", "/api/auth/two-factor/disable", `{"password":"`+testPassword+`"}`, token).status(200); strings.TrimSpace(got.body) != `{"status":true}` {
		t.Errorf("disable: %s", got.body)
	}
	s.login("ada@example.test")
}

func TestRecentAuthenticationOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	access, _ := s.login("ada@example.test")
	token := bearer(access)
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	refused := s.send("POST", "/api/v1/auth/change-email", `{"newEmail":"countess@example.test"}`, token).status(403)
	if refused.text("code") != "REAUTHENTICATION_REQUIRED" || refused.text("error") != "REAUTHENTICATION_REQUIRED" ||
		!strings.Contains(refused.body, `"details":{"methods":["password","email_code"]}`) {
		t.Errorf("change-email: %s", refused.body)
	}
	refused = s.send("POST", "/api/auth/two-factor/enable", `{}`, token).status(403)
	if refused.text("code") != "REAUTHENTICATION_REQUIRED" || !strings.Contains(refused.body, `"methods":["password","email_code"]`) {
		t.Errorf("enable: %s", refused.body)
	}
	s.send("POST", "/api/v1/auth/passkeys/register/options", nil, token).status(403)
	s.send("POST", "/api/v1/auth/reauthenticate", `{}`, token).status(400)
	s.send("POST", "/api/v1/auth/reauthenticate", `{"password":"a","code":"b"}`, token).status(400)
	s.send("POST", "/api/v1/auth/reauthenticate", `{"password":"wrong"}`, token).status(401).message("Password is incorrect")
	done := s.send("POST", "/api/v1/auth/reauthenticate", `{"password":"`+testPassword+`"}`, token).status(200)
	if done.object()["success"] != true || done.text("accessToken") == "" || done.object()["expiresIn"] != 900.0 || done.text("authTime") == "" {
		t.Errorf("reauthenticate: %s", done.body)
	}
	asked := s.send("POST", "/api/v1/auth/change-email", `{"newEmail":"countess@example.test"}`, token).status(200)
	if strings.TrimSpace(asked.body) != `{"success":true,"message":"Verification email sent to new address"}` {
		t.Errorf("change-email: %s", asked.body)
	}
	mails.last(t, notice.AddressChanging)
}

// Both links of a change of address are pages with a button, and their GET
// changes nothing.
func TestChangeOfAddressByItsPages(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	access, refresh := s.login("ada@example.test")
	s.send("POST", "/api/v1/auth/change-email", `{"newEmail":"countess@example.test","callbackURL":"`+app+`/x"}`, bearer(access)).status(200)
	mails.mu.Lock()
	link := mails.notices[len(mails.notices)-2].Token
	mails.mu.Unlock()
	path := "/api/auth/change-email/verify"
	for _, method := range []string{"GET", "HEAD", "GET"} {
		if page := s.send(method, path+"?token="+link, nil).status(200); method == "GET" && !strings.Contains(page.body, `action="`+path+`"`) {
			t.Errorf("the page: %s", page.body)
		}
	}
	s.login("ada@example.test")
	s.send("POST", path, "token="+link, asForm, with("Origin", app)).status(403)
	onward := s.form(path, url.Values{"token": {link}}).status(303)
	if to := onward.header.Get("Location"); to != app+"/login?email=countess%40example.test&verified=true" {
		t.Errorf("it leads to %s", to)
	}
	s.login("countess@example.test")
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(200)
	undo := mails.last(t, notice.AddressChanging).Token
	path = "/api/auth/change-email/undo"
	s.send("GET", path+"?token="+undo, nil).status(200)
	if to := s.form(path, url.Values{"token": {undo}}).status(303).header.Get("Location"); to != "/login?email=ada%40example.test&verified=true" {
		t.Errorf("the undoing leads to %s", to)
	}
	s.login("ada@example.test")
	s.form(path, url.Values{"token": {"nonsense"}}).status(401)
	s.form("/api/auth/change-email/verify", url.Values{"token": {undo}}).status(401)
}

func TestSignInByMailOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	for _, path := range []string{"/api/auth/magic-link/send-magic-link", "/api/auth/sign-in/magic-link"} {
		for _, address := range []string{"ada@example.test", "nobody@example.test"} {
			if got := s.send("POST", path, `{"email":"`+address+`","callbackURL":"`+app+`/inbox"}`, with("Origin", app)).status(200); strings.TrimSpace(got.body) != `{"status":true}` {
				t.Errorf("%s %s: %s", path, address, got.body)
			}
		}
		s.send("POST", path, `{"email":"ada@example.test","callbackURL":"`+foreign+`"}`, with("Origin", app)).status(403)
		s.send("POST", path, `{"email":"no address"}`, with("Origin", app)).status(400)
		s.send("POST", path, `{"email":"ada@example.test"}`, with("Origin", foreign)).status(403)
	}
	mail := mails.last(t, notice.MagicLink)
	path := "/api/auth/magic-link/verify"
	query := url.Values{"token": {mail.Token}, "callbackURL": {mail.RedirectTo}}
	for _, method := range []string{"GET", "HEAD", "GET"} { // what a mail scanner does
		page := s.send(method, path+"?"+query.Encode(), nil, with("Purpose", "prefetch")).status(200)
		if method == "GET" && (!strings.Contains(page.body, mail.Token) || page.session() != nil) {
			t.Errorf("the page: %s", page.body)
		}
	}
	signed := s.form(path, query).status(303)
	if to := signed.header.Get("Location"); to != app+"/inbox" || signed.session() == nil {
		t.Errorf("it leads to %s, %v", to, signed.header)
	}
	if again := s.form(path, query).status(401); again.session() != nil || !strings.Contains(again.body, `action="/login/link"`) {
		t.Errorf("twice: %s", again.body)
	}
	s.form("/login/link", url.Values{"email": {"ada@example.test"}}).status(200)
	code := mails.last(t, notice.MagicLink).Code
	wrong := s.send("POST", "/api/v1/auth/login/code", `{"email":"ada@example.test","code":"00000000"}`).status(401)
	if wrong.text("code") != "INVALID_CODE" {
		t.Errorf("a wrong code: %s", wrong.body)
	}
	if got := s.send("POST", "/api/v1/auth/login/code", `{"email":"ada@example.test","code":"`+code+`"}`).status(200); got.text("accessToken") == "" {
		t.Errorf("%s", got.body)
	}
	// With a second factor a link is one factor.
	access, _ := s.login("ada@example.test")
	s.withFactor(bearer(access))
	s.form("/login/link", url.Values{"email": {"ada@example.test"}}).status(200)
	mail = mails.last(t, notice.MagicLink)
	asked := s.form(path, url.Values{"token": {mail.Token}, "callbackURL": {app + "/inbox"}}).status(303)
	if to := asked.header.Get("Location"); to != "/two-factor?returnUrl=https%3A%2F%2Fchat.example.test%2Finbox" || asked.session() != nil {
		t.Errorf("it leads to %s", to)
	}
}

// The pages of the second factor, without JavaScript.
func TestSecondFactorByItsPages(t *testing.T) {
	t.Parallel()
	s, _ := mailSite(t)
	signed := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(303)
	cookie := cookieOf(t, signed)
	if page := s.send("GET", "/account/two-factor", nil, cookie).status(200); !strings.Contains(page.body, `value="enroll"`) || strings.Contains(page.body, `name="password"`) {
		t.Errorf("right after a sign-in: %s", page.body)
	}
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if page := s.send("GET", "/account/two-factor", nil, cookie).status(200); !strings.Contains(page.body, `name="password"`) {
		t.Errorf("an hour after it: %s", page.body)
	}
	if to := s.form("/account/two-factor", url.Values{"action": {"enroll"}}, cookie).status(303).header.Get("Location"); to != "/reauthenticate?returnUrl=%2Faccount%2Ftwo-factor" {
		t.Errorf("without a password it leads to %s", to)
	}
	s.form("/account/two-factor", url.Values{"action": {"enroll"}, "password": {"wrong"}}, cookie).status(401)
	s.form("/account/two-factor", url.Values{"action": {"enroll"}, "password": {testPassword}}).status(303)
	s.send("POST", "/account/two-factor", "action=enroll&password="+testPassword, asForm, with("Origin", app), cookie).status(403)
	page := s.form("/account/two-factor", url.Values{"action": {"enroll"}, "password": {testPassword}}, cookie).status(200)
	secret := regexp.MustCompile(`<code>([A-Z2-7]{32})</code>`).FindStringSubmatch(page.body)
	codes := regexp.MustCompile(`<li><code>([a-z2-7]{5}-[a-z2-7]{5})</code>`).FindAllStringSubmatch(page.body, -1)
	if secret == nil || len(codes) != 10 || !strings.Contains(page.body, "<svg") || !strings.Contains(page.body, `href="otpauth://totp/`) {
		t.Fatalf("set-up: %s", page.body)
	}
	code := func() string {
		s.change(`UPDATE auth.two_factor_auth SET last_step = 0`)
		text, err := totp.GenerateCode(secret[1], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if page := s.form("/account/two-factor", url.Values{"action": {"confirm"}, "code": {"000000"}}, cookie).status(401); !strings.Contains(page.body, `value="confirm"`) {
		t.Errorf("a mistyped code: %s", page.body)
	}
	if page := s.form("/account/two-factor", url.Values{"action": {"confirm"}, "code": {code()}}, cookie).status(200); !strings.Contains(page.body, `value="disable"`) {
		t.Errorf("confirmed: %s", page.body)
	}
	s.send("GET", "/two-factor", nil).status(303)
	asked := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {app + "/a"}}).status(303)
	if to := asked.header.Get("Location"); to != "/two-factor?returnUrl=https%3A%2F%2Fchat.example.test%2Fa" {
		t.Errorf("sign-in leads to %s", to)
	}
	challenge, _ := setCookie(asked, "mana.two_factor")
	for query, want := range map[string]string{"": `inputmode="numeric"`, "?method=backup_code": `value="backup_code"`} {
		if page := s.send("GET", "/two-factor"+query, nil, challenge).status(200); !strings.Contains(page.body, want) {
			t.Errorf("%q: %s", query, page.body)
		}
	}
	if page := s.form("/two-factor", url.Values{"code": {"000000"}, "returnUrl": {app + "/a"}}, challenge).status(401); !strings.Contains(page.body, "The code is wrong") || !strings.Contains(page.body, app+"/a") {
		t.Errorf("a wrong code: %s", page.body)
	}
	onward := s.form("/two-factor", url.Values{"code": {code()}, "returnUrl": {app + "/a"}, "trustDevice": {"true"}}, challenge).status(303)
	if to := onward.header.Get("Location"); to != app+"/a" || onward.session() == nil {
		t.Errorf("it leads to %s", to)
	}
	setCookie(onward, "mana.trusted_device")
	if page := s.form("/two-factor", url.Values{"code": {code()}}, challenge).status(401); !strings.Contains(page.body, `action="/login"`) {
		t.Errorf("used up: %s", page.body)
	}
	asked = s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(303)
	challenge, _ = setCookie(asked, "mana.two_factor")
	s.form("/two-factor", url.Values{"code": {codes[0][1]}, "method": {"backup_code"}}, challenge).status(303)
	s.form("/account/two-factor", url.Values{"action": {"codes"}, "password": {testPassword}}, cookie).status(200)
	s.form("/account/two-factor", url.Values{"action": {"nonsense"}}, cookie).status(400)
	s.form("/account/two-factor", url.Values{"action": {"disable"}, "password": {testPassword}}, cookie).status(200)
	s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(303)
}

func TestReauthenticationPage(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	if to := s.send("GET", "/reauthenticate?returnUrl="+url.QueryEscape(app+"/pay"), nil).status(303).header.Get("Location"); !strings.HasPrefix(to, "/login?returnUrl=") {
		t.Errorf("nobody is led to %s", to)
	}
	cookie := cookieOf(t, s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(303))
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if page := s.send("GET", "/reauthenticate?returnUrl="+url.QueryEscape(app+"/pay"), nil, cookie).status(200); !strings.Contains(page.body, `name="password"`) ||
		!strings.Contains(page.body, app+"/pay") || !strings.Contains(page.body, `name="mail"`) {
		t.Errorf("the page: %s", page.body)
	}
	if to := s.send("GET", "/reauthenticate?amr=mfa", nil, cookie).status(303).header.Get("Location"); to != "/account/two-factor" {
		t.Errorf("who has no second factor is led to %s", to)
	}
	access, _ := s.login("ada@example.test")
	code, _ := s.withFactor(bearer(access))
	for _, page := range []answer{
		s.send("GET", "/reauthenticate?amr=mfa", nil, cookie).status(200), s.form("/reauthenticate", url.Values{"code": {"000000"}, "factor": {"true"}}, cookie).status(401),
	} {
		if strings.Contains(page.body, `name="password"`) || strings.Contains(page.body, `name="mail"`) || !strings.Contains(page.body, `name="code"`) {
			t.Errorf("where more than the password is wanted: %s", page.body)
		}
	}
	s.form("/reauthenticate", url.Values{"code": {code()}, "factor": {"true"}}, cookie).status(303)
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	s.change(`DELETE FROM auth.two_factor_auth`)
	if page := s.form("/reauthenticate", url.Values{"password": {"wrong"}, "returnUrl": {foreign}}, cookie).status(401); !strings.Contains(page.body, "The password is wrong") || strings.Contains(page.body, foreign) {
		t.Errorf("a wrong password: %s", page.body)
	}
	s.send("POST", "/reauthenticate", "password="+testPassword, asForm, with("Origin", app), cookie).status(403)
	if to := s.form("/reauthenticate", url.Values{"password": {testPassword}, "returnUrl": {app + "/pay"}}, cookie).status(303).header.Get("Location"); to != app+"/pay" {
		t.Errorf("it leads to %s", to)
	}
	s.form("/reauthenticate", url.Values{"mail": {"true"}}, cookie).status(200)
	s.form("/reauthenticate", url.Values{"code": {mails.last(t, notice.MagicLink).Code}}, cookie).status(303)
}

// The wire of section 2 of the contract, from a page of an app.
func TestPasskeysOverTheAPI(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	const at = "/api/v1/auth/passkeys"
	if got := s.send("GET", at+"/capability", nil).status(200); strings.TrimSpace(got.body) != `{"enabled":true,"conditionalUIAvailable":true,"rpId":"example.test"}` {
		t.Errorf("capability: %s", got.body)
	}
	access, _ := s.login("ada@example.test")
	token := bearer(access)
	device := &passkeytest.Authenticator{Origin: app}
	respond := func(a answer, do func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, header) {
		t.Helper()
		response, err := do(json.RawMessage(a.body))
		if err != nil {
			t.Fatal(err)
		}
		state, set := setCookie(a, "mana.passkey_challenge")
		if set.MaxAge != 300 || !set.HttpOnly || !set.Secure {
			t.Errorf("%+v", set)
		}
		return response, state
	}
	s.send("POST", at+"/register/options", nil).status(401)
	response, state := respond(s.send("POST", at+"/register/options", nil, token).status(200), device.Create)
	failed := s.send("POST", at+"/register/verify", map[string]any{"response": response}, token).status(401)
	if failed.text("code") != "PASSKEY_VERIFICATION_FAILED" || failed.text("message") != "Passkey verification failed" {
		t.Errorf("without the cookie: %s", failed.body)
	}
	made := s.send("POST", at+"/register/verify", map[string]any{"response": response, "name": "Laptop"}, token, state).status(200)
	id := made.text("id")
	if made.text("name") != "Laptop" || made.text("deviceType") != "singleDevice" || made.object()["backedUp"] != false || made.object()["transports"] == nil {
		t.Errorf("made: %s", made.body)
	}
	mails.last(t, notice.FactorAdded)
	s.send("POST", at+"/register/verify", map[string]any{"response": response}, token, state).status(401)

	known, unknown := s.send("POST", at+"/authenticate/options", `{"email":"ada@example.test"}`).status(200), s.send("POST", at+"/authenticate/options", `{"email":"nobody@example.test"}`).status(200)
	for _, a := range []answer{known, unknown} {
		if list, ok := a.object()["allowCredentials"].([]any); !ok || len(list) != 0 || a.text("rpId") != "example.test" {
			t.Errorf("options: %s", a.body)
		}
	}
	response, state = respond(known, device.Get)
	s.send("POST", at+"/authenticate/verify", map[string]any{"response": response}).status(401)
	signed := s.send("POST", at+"/authenticate/verify", map[string]any{"response": response, "deviceName": "Laptop"}, state, with("Origin", app)).status(200)
	if signed.text("accessToken") == "" || signed.text("refreshToken") == "" || signed.session() == nil {
		t.Errorf("authenticate: %s, %v", signed.body, signed.header)
	}
	s.send("POST", at+"/authenticate/verify", map[string]any{"response": response}, state).status(401)
	for _, bad := range []string{`{}`, `{"response":"x"}`, `{"response":null}`} {
		s.send("POST", at+"/authenticate/verify", bad, state).status(400)
	}
	s.send("POST", at+"/authenticate/verify", `{"response":{}}`, state).status(401)

	// As the second factor, by the challenge alone.
	s.withFactor(token)
	needed := s.send("POST", "/api/v1/auth/login", loginAda).status(409)
	challenge, _ := needed.object()["details"].(map[string]any)["challenge"].(string)
	if !strings.Contains(needed.body, `"methods":["totp","backup_code","passkey"]`) {
		t.Errorf("methods: %s", needed.body)
	}
	response, state = respond(s.send("POST", at+"/authenticate/options", map[string]any{"challenge": challenge}).status(200), device.Get)
	done := s.send("POST", "/api/v1/auth/login/second-factor/passkey", map[string]any{"challenge": challenge, "response": response}, state).status(200)
	if done.text("accessToken") == "" {
		t.Errorf("second factor: %s", done.body)
	}
	s.send("POST", at+"/authenticate/options", map[string]any{"challenge": challenge}).status(401)

	if got := s.send("GET", at, nil, token).status(200); !strings.HasPrefix(got.body, `[{"id":"`+id+`","name":"Laptop","createdAt":`) {
		t.Errorf("list: %s", got.body)
	}
	if got := s.send("PATCH", at+"/"+id, `{"friendlyName":"Blue"}`, token).status(200); got.text("name") != "Blue" {
		t.Errorf("rename: %s", got.body)
	}
	s.send("PATCH", at+"/nonsense", `{"friendlyName":"Blue"}`, token).status(404)
	s.send("PATCH", at+"/"+id, `{"friendlyName":""}`, token).status(400)
	other := bearer(s.of("bob@example.test"))
	s.send("DELETE", at+"/"+id, nil, other).status(404)
	if got := s.send("DELETE", at+"/"+id, nil, token).status(200); strings.TrimSpace(got.body) != `{"success":true}` {
		t.Errorf("delete: %s", got.body)
	}
	s.send("DELETE", at+"/"+id, nil, token).status(404)
}

// of makes an account and returns an access token of it.
func (s *site) of(email string) string {
	s.Helper()
	s.register(email)
	access, _ := s.login(email)
	return access
}
