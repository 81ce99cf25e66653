package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mana.how/edge/authcore/notice"
	"mana.how/edge/internal/passkeytest"
)

// sibling is the browser client of an app of the family: it calls from its own origin with
// credentials, so each request has a preflight, and the cookies that it gets it sends again.
type sibling struct {
	*site
	cookies map[string]string
	token   string
}

func (c *sibling) call(method, path string, body any, status int) answer {
	c.Helper()
	asked := c.send("OPTIONS", path, nil, with("Origin", app), with("Access-Control-Request-Method", method), with("Access-Control-Request-Headers", "authorization,content-type"))
	if asked.code != 204 || asked.header.Get("Access-Control-Allow-Origin") != app || asked.header.Get("Access-Control-Allow-Credentials") != "true" ||
		!strings.Contains(asked.header.Get("Access-Control-Allow-Methods"), method) {
		c.Fatalf("the preflight of %s %s: %d %v", method, path, asked.code, asked.header)
	}
	headers := []header{with("Origin", app), with("Sec-Fetch-Site", "same-site"), with("Sec-Fetch-Mode", "cors")}
	for name, value := range c.cookies {
		headers = append(headers, with("Cookie", name+"="+value))
	}
	if c.token != "" {
		headers = append(headers, bearer(c.token))
	}
	a := c.send(method, path, body, headers...).status(status)
	if a.header.Get("Access-Control-Allow-Origin") != app || a.header.Get("Access-Control-Allow-Credentials") != "true" {
		c.Fatalf("%s %s cannot be read: %v", method, path, a.header)
	}
	for _, set := range (&http.Response{Header: a.header}).Cookies() {
		if c.cookies[set.Name] = set.Value; set.MaxAge < 0 {
			delete(c.cookies, set.Name)
		}
	}
	return a
}

// An account is lived with by the JSON routes alone, from another origin of the family.
func TestSiblingLivesWithAnAccount(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	c := &sibling{site: s, cookies: map[string]string{}}
	key := &passkeytest.Authenticator{Origin: app}
	const at = "/api/v1/auth/passkeys"
	answerTo := func(a answer, do func(json.RawMessage) (json.RawMessage, error)) json.RawMessage {
		t.Helper()
		response, err := do(json.RawMessage(a.body))
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	if got := c.call("GET", "/api/v1/auth/signup-status", nil, 200); got.object()["open"] != true {
		t.Errorf("%s", got.body)
	}

	// Sign in, and change to a token.
	c.call("POST", "/api/auth/sign-in/email", map[string]any{"email": "ada@example.test", "password": testPassword}, 200)
	c.token = c.call("POST", "/api/v1/auth/session-to-token", map[string]any{}, 200).text("accessToken")

	// A passkey, and a sign-in by it alone.
	if c.call("GET", at+"/capability", nil, 200).object()["enabled"] != true {
		t.Error("passkeys are off")
	}
	made := c.call("POST", at+"/register/verify", map[string]any{"response": answerTo(c.call("POST", at+"/register/options", map[string]any{}, 200), key.Create), "name": "Phone"}, 200)
	c.call("PATCH", at+"/"+made.text("id"), map[string]any{"friendlyName": "Blue phone"}, 200)
	c.call("POST", "/api/auth/sign-out", map[string]any{}, 200)
	c.token = ""
	c.token = c.call("POST", at+"/authenticate/verify", map[string]any{"response": answerTo(c.call("POST", at+"/authenticate/options", map[string]any{}, 200), key.Get)}, 200).text("accessToken")
	if got := c.call("GET", at, nil, 200); !strings.Contains(got.body, "Blue phone") {
		t.Errorf("%s", got.body)
	}

	// A link by mail.
	c.call("POST", "/api/auth/magic-link/send-magic-link", map[string]any{"email": "ada@example.test", "callbackURL": app + "/in"}, 200)
	if link := mails.newest(t, notice.MagicLink); link.RedirectTo != app+"/in" {
		t.Errorf("the mail leads to %q", link.RedirectTo)
	}

	// A second factor by the codes that are left when it is lost.
	enabled := c.call("POST", "/api/auth/two-factor/enable", map[string]any{"password": testPassword}, 200)
	var backup []string
	for _, code := range enabled.object()["backupCodes"].([]any) {
		backup = append(backup, code.(string))
	}
	if len(backup) != 10 {
		t.Fatalf("%v", backup)
	}
	code, backup := s.withFactor(bearer(c.token))
	c.token, c.cookies = "", map[string]string{}
	if got := c.call("POST", "/api/auth/sign-in/email", map[string]any{"email": "ada@example.test", "password": testPassword}, 200); got.object()["twoFactorRedirect"] != true {
		t.Fatalf("%s", got.body)
	}
	c.call("POST", "/api/auth/two-factor/verify-totp", map[string]any{"code": code()}, 200)
	c.call("POST", "/api/auth/sign-out", map[string]any{}, 200)
	c.call("POST", "/api/auth/sign-in/email", map[string]any{"email": "ada@example.test", "password": testPassword}, 200)
	c.call("POST", "/api/auth/two-factor/verify-backup-code", map[string]any{"code": backup[0]}, 200)
	c.token = c.call("POST", "/api/v1/auth/session-to-token", map[string]any{}, 200).text("accessToken")

	// Another address, what happened, the data, and the end.
	c.call("POST", "/api/v1/auth/change-email", map[string]any{"newEmail": "countess@example.test"}, 200)
	mails.newest(t, notice.ConfirmAddress)
	var events []struct{ EventType string }
	if err := json.Unmarshal([]byte(c.call("GET", "/api/v1/auth/security-events?limit=50", nil, 200).body), &events); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"login_success", "email_change_requested"} {
		if !slices.ContainsFunc(events, func(e struct{ EventType string }) bool { return e.EventType == want }) {
			t.Errorf("no event %s in %v", want, events)
		}
	}
	c.call("POST", "/api/v1/api-keys", map[string]any{"name": "Speech"}, 201)
	c.call("PATCH", "/api/v1/settings/global", map[string]any{"displayName": "Countess"}, 200)
	var all struct {
		Passkeys, APIKeys []struct{ Name string }
		Settings          struct {
			GlobalSettings struct{ DisplayName string }
		}
	}
	export := c.call("GET", "/api/v1/me/data/export", nil, 200)
	if err := json.Unmarshal([]byte(export.body), &all); err != nil || len(all.Passkeys) != 1 || all.Passkeys[0].Name != "Blue phone" || len(all.APIKeys) != 1 || all.APIKeys[0].Name != "Speech" ||
		all.Settings.GlobalSettings.DisplayName != "Countess" ||
		!strings.Contains(export.body, `"ada@example.test"`) || !strings.Contains(export.body, `"has2FA": true`) {
		t.Errorf("the export has %+v (%v): %.300s", all, err, export.body)
	}
	c.call("DELETE", "/api/v1/me/data", nil, 200)
	c.call("GET", "/api/v1/auth/profile", nil, 401)
}
