package api_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// form sends a page's form as a browser without JavaScript does.
func (s *site) form(path string, fields url.Values, headers ...header) answer {
	s.Helper()
	return s.send("POST", path, fields.Encode(), append([]header{asForm, with("Origin", base), with("Sec-Fetch-Site", "same-origin")}, headers...)...)
}

func cookieOf(t *testing.T, a answer) header {
	t.Helper()
	c := a.session()
	if c == nil {
		t.Fatalf("no session cookie: %v", a.header)
	}
	return with("Cookie", c.Name+"="+c.Value)
}

func TestLoginForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	for _, tt := range []struct{ target, want string }{
		{app + "/a?b=c", app + "/a?b=c"},
		{"", "/account"},
		{"/account?x=1", base + "/account?x=1"},
		{foreign, "/account"},
		{"javascript:alert(1)", "/account"},
		{"//evil.test", "/account"},
		{`https://chat.example.test\@evil.test`, "/account"},
		{"https://chat.example.test@evil.test/", "/account"},
		{"https://chat.example.test/..;/x", "/account"},
		{"https://evil.test#.example.test", "/account"},
		{app + "/\r\nSet-Cookie: a=b", "/account"},
	} {
		got := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {tt.target}}).status(303)
		if to := got.header.Get("Location"); to != tt.want {
			t.Errorf("target %q leads to %q, want %q", tt.target, to, tt.want)
		}
		if got.session() == nil || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", got.header)
		}
	}
	wrong := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {"wrong"}, "returnUrl": {app + "/x"}}).status(401)
	for _, want := range []string{"Invalid email or password", `value="ada@example.test"`, `value="https://chat.example.test/x"`} {
		if !strings.Contains(wrong.body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(wrong.body, "wrong") || wrong.session() != nil {
		t.Error("the page repeats the password, or a cookie was set")
	}
	if got := s.form("/login", url.Values{"email": {`"><script>alert(1)</script>`}, "password": {"x"}}).status(400); strings.Contains(got.body, "<script>") {
		t.Error("the e-mail is not escaped")
	}
}

func TestFormsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	fields := url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "action": {"sign-out"}}.Encode()
	for _, path := range []string{"/login", "/register", "/account"} {
		for name, headers := range map[string][]header{
			"foreign origin": {with("Origin", foreign)},
			"null origin":    {with("Origin", "null")},
			"neither header": nil,
			"same site":      {with("Sec-Fetch-Site", "same-site")},
			// A trusted site may call the API; it may not sign visitors in as others.
			"trusted sibling":     {with("Origin", app), with("Sec-Fetch-Site", "same-site")},
			"own host, not ours":  {with("Sec-Fetch-Site", "same-origin")},
			"the base URL, twice": {with("Origin", base), with("Origin", app)},
		} {
			got := s.send("POST", path, fields, append(headers, asForm, cookie)...).status(403)
			if !strings.Contains(got.header.Get("Content-Type"), "text/html") || len(got.header["Set-Cookie"]) > 0 {
				t.Errorf("%s, %s: %v", path, name, got.header)
			}
		}
	}
	if s.send("GET", "/api/auth/get-session", nil, cookie).body == "null" {
		t.Error("a foreign form signed the user out")
	}
}

func TestRegisterForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fields := url.Values{"name": {"Ada"}, "email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {app}}
	got := s.form("/register", fields).status(303)
	if got.header.Get("Location") != app+"/" {
		t.Errorf("leads to %q", got.header.Get("Location"))
	}
	s.send("GET", "/account", nil, cookieOf(t, got)).status(200)
	again := s.form("/register", fields).status(409)
	if !strings.Contains(again.body, "already exists") || !strings.Contains(again.body, `value="Ada"`) {
		t.Errorf("conflict: %s", again.body)
	}
	fields.Set("password", "password1")
	fields.Set("email", "b@example.test")
	german := s.form("/register", fields, with("Accept-Language", "de-AT,de;q=0.9,en;q=0.5")).status(400)
	if !strings.Contains(german.body, "zu verbreitet") || !strings.Contains(german.body, `lang="de"`) {
		t.Errorf("common password: %s", german.body)
	}
	fields.Set("password", "short")
	if got := s.form("/register", fields).status(400); !strings.Contains(got.body, "too short") {
		t.Errorf("short password: %s", got.body)
	}
}

func TestAccountPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	if got := s.send("GET", "/account", nil).status(303); got.header.Get("Location") != "/login?returnUrl=%2Faccount" {
		t.Errorf("guest: %v", got.header)
	}
	cookie, other := s.cookie("ada@example.test"), s.cookie("ada@example.test")
	access, _ := s.login("ada@example.test")
	got := s.send("GET", "/account/devices", nil, cookie).status(200)
	ids := regexp.MustCompile(`name="id" value="([^"]+)"`).FindAllStringSubmatch(got.body, -1)
	if len(ids) != 2 || !strings.Contains(got.body, "this device") {
		t.Fatalf("%d other devices: %s", len(ids), got.body)
	}
	s.form("/account/devices", url.Values{"action": {"revoke"}, "id": {ids[0][1]}}, cookie).status(303)
	s.form("/account/devices", url.Values{"action": {"revoke"}, "id": {ids[0][1]}}, cookie).status(303)
	s.form("/account/devices", url.Values{"action": {"dance"}}, cookie).status(400)
	s.form("/account", url.Values{"action": {"dance"}}, cookie).status(400)
	s.form("/account/devices", url.Values{"action": {"revoke-others"}}, cookie).status(303)
	if s.send("GET", "/api/auth/get-session", nil, other).body != "null" {
		t.Error("the other browser's session goes on")
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(access)).status(401)
	out := s.form("/account", url.Values{"action": {"sign-out"}}, cookie).status(303)
	if c := out.session(); c == nil || c.Value != "" {
		t.Errorf("sign-out: %v", out.header)
	}
	s.send("GET", "/account", nil, cookie).status(303)
}

func TestSignedInUsersGoStraightOnUntilItLoops(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	session := s.cookie("ada@example.test")
	if got := s.send("GET", "/login", nil, session).status(303); got.header.Get("Location") != "/account" {
		t.Errorf("without target: %v", got.header)
	}
	if got := s.send("GET", "/login?returnUrl="+url.QueryEscape(foreign), nil, session).status(303); got.header.Get("Location") != "/account" {
		t.Errorf("foreign target: %v", got.header)
	}
	jar := map[string]string{}
	visit := func(target string) answer {
		headers := []header{session}
		for name, value := range jar {
			headers = append(headers, with("Cookie", name+"="+value))
		}
		got := s.send("GET", "/login?returnUrl="+url.QueryEscape(target), nil, headers...)
		for _, c := range (&http.Response{Header: got.header}).Cookies() {
			jar[c.Name] = c.Value
		}
		return got
	}
	visit(app + "/x").status(303)
	visit(app + "/y").status(303)
	visit(app + "/x").status(303)
	if got := visit(app + "/x").status(303); got.header.Get("Location") != app+"/x" {
		t.Errorf("leads to %q", got.header.Get("Location"))
	}
	got := visit(app + "/x").status(409)
	if !strings.Contains(got.body, app) || !strings.Contains(got.body, "keeps sending you back") {
		t.Errorf("explanation: %s", got.body)
	}
	visit(app + "/x").status(303)
}

// TestPagesForbidScripts checks each page against its own policy: no script, but
// the one of passkeys under its nonce where a page has that.
func TestPagesForbidScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	handler := regexp.MustCompile(`(?i)<[^>]*\son[a-z]+=|<script|javascript:|style="`)
	script := regexp.MustCompile(`(?s)<script nonce="([^"]+)">.*?</script>`)
	nonces := map[string]bool{}
	for _, a := range []answer{
		s.send("GET", "/login?returnUrl="+url.QueryEscape(app+`/"><script>`), nil),
		s.send("GET", "/register?returnUrl=javascript:alert(1)", nil),
		s.send("GET", "/account", nil, cookie),
		s.send("GET", "/api-docs", nil),
		s.send("POST", "/login", "{", with("Origin", base)),
	} {
		csp := a.header.Get("Content-Security-Policy")
		nonce := regexp.MustCompile(`'nonce-([^']+)'`).FindStringSubmatch(csp)
		if nonce == nil || nonces[nonce[1]] || !strings.Contains(a.body, `<style nonce="`+nonce[1]+`">`) {
			t.Fatalf("policy %q", csp)
		}
		nonces[nonce[1]] = true
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "base-uri 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q", csp)
		}
		allowed := strings.Contains(csp, ";script-src 'nonce-"+nonce[1]+"';connect-src 'self'")
		scripts := script.FindAllStringSubmatch(a.body, -1)
		if len(scripts) > 1 || allowed != (len(scripts) == 1) || allowed && scripts[0][1] != nonce[1] || !allowed && strings.Contains(csp, "script-src") {
			t.Errorf("%d scripts under %q", len(scripts), csp)
		}
		if found := handler.FindString(script.ReplaceAllString(a.body, "")); found != "" {
			t.Errorf("the page has %q", found)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "same-origin" || a.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("headers %v", a.header)
		}
	}
	csp := s.send("GET", "/login?returnUrl="+url.QueryEscape(app), nil).header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' "+app+";") {
		t.Errorf("browsers would stop the redirect after the form: %q", csp)
	}
}

// A browser that comes to the bare site is led on, and one that asks for what
// is not there is told so on a page.
func TestBrowsersAreLedOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	asPage := with("Accept", "text/html,application/xhtml+xml")
	if to := s.send("GET", "/", nil, asPage).status(303).header.Get("Location"); to != "/login" {
		t.Errorf("a guest is led to %q", to)
	}
	if to := s.send("GET", "/", nil, asPage, s.cookie("ada@example.test")).status(303).header.Get("Location"); to != "/account" {
		t.Errorf("a user is led to %q", to)
	}
	for _, lang := range []struct{ tag, text string }{{"de", "Diese Seite gibt es nicht"}, {"en", "There is no such page"}} {
		got := s.send("GET", "/nowhere", nil, asPage, with("Accept-Language", lang.tag)).status(404)
		if !strings.Contains(got.body, lang.text) || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v %s", lang.tag, got.header, got.body)
		}
	}
	s.send("PUT", "/login", nil, with("Sec-Fetch-Mode", "navigate")).status(405)
	s.send("GET", "/api/v1/nowhere", nil, asPage).status(404).message("Cannot GET /api/v1/nowhere")
	s.send("GET", "/nowhere", nil, asPage, with("X-Requested-With", "XMLHttpRequest")).status(404).message("Cannot GET /nowhere")
	s.send("GET", "/nowhere", nil).status(404).message("Cannot GET /nowhere")
}

// The icon that every page names is there, and the page's policy allows it.
func TestPagesHaveAnIcon(t *testing.T) {
	t.Parallel()
	s := bare(t)
	page := s.send("GET", "/api-docs", nil).status(200)
	if !strings.Contains(page.body, `<link rel="icon" href="/brand/`) || !strings.Contains(page.header.Get("Content-Security-Policy"), "img-src 'self'") {
		t.Errorf("%v %.300s", page.header, page.body)
	}
	for _, path := range []string{"/favicon.svg", "/favicon.ico"} {
		got := s.send("GET", path, nil).status(200)
		if got.header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(got.body, "<svg ") {
			t.Errorf("%s: %v %.100s", path, got.header, got.body)
		}
	}
}
