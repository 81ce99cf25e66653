package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mana.how/edge/authcore/notice"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/internal/avatar"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/objectstore"
	"mana.how/edge/internal/passkeytest"
)

// accountSections are the pages of the account, by what only they say in English
// and in German.
var accountSections = map[string][2]string{
	"/account":             {"Save name", "Namen speichern"},
	"/account/email":       {"Change address", "Adresse ändern"},
	"/account/password":    {"Change password", "Passwort ändern"},
	"/account/two-factor":  {"Set up a second factor", "Zweiten Faktor einrichten"},
	"/account/passkeys":    {"Add a passkey", "Passkey hinzufügen"},
	"/account/devices":     {"Why was I signed out?", "Warum wurde ich abgemeldet?"},
	"/account/events":      {"You signed in.", "Du hast dich angemeldet."},
	"/account/preferences": {"As the browser", "Wie der Browser"},
	"/account/data":        {"Delete account for good", "Konto endgültig löschen"},
}

// pageLimit is what a page may have, in bytes.
const pageLimit = 60_000

func TestAccountSections(t *testing.T) {
	t.Parallel()
	s := gallery(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	before := s.state()
	text := regexp.MustCompile(`>\s*[a-z]+\.[a-zA-Z_.-]+\s*<`)
	for path, words := range accountSections {
		if to := s.send("GET", path, nil).status(303).header.Get("Location"); to != "/login?returnUrl="+url.QueryEscape(path) {
			t.Errorf("%s: a guest is led to %s", path, to)
		}
		for i, lang := range []string{"en", "de"} {
			got := s.send("GET", path, nil, cookie, with("Accept-Language", lang)).status(200)
			if !strings.Contains(got.body, words[i]) || strings.Contains(got.body, words[1-i]) || !strings.Contains(got.body, `<html lang="`+lang+`">`) {
				t.Errorf("%s in %s: %s", path, lang, got.body)
			}
			if len(got.body) > pageLimit {
				t.Errorf("%s has %d bytes", path, len(got.body))
			}
			if n := strings.Count(got.body, `<a href="`+path+`" aria-current="page">`); n != 2 || strings.Count(got.body, `aria-current="page"`) != 2 {
				t.Errorf("%s is marked %d times in the navigation", path, n)
			}
			for other := range accountSections {
				if !strings.Contains(got.body, `<a href="`+other+`"`) {
					t.Errorf("%s does not lead to %s", path, other)
				}
			}
			if found := text.FindString(got.body[strings.Index(got.body, "<body"):strings.LastIndex(got.body, "</main>")]); found != "" {
				t.Errorf("%s shows the key %s", path, found)
			}
			s.send("HEAD", path, nil, cookie, with("Accept-Language", lang)).status(200)
		}
		// What was done is one of the page's own words.
		if got := s.send("GET", path+"?done=deleted&done="+url.QueryEscape(attackText), nil, cookie).status(200); strings.Contains(got.body, `role="status"`) {
			t.Errorf("%s says whatever a link says: %s", path, got.body)
		}
	}
	if after := s.state(); after != before {
		t.Errorf("looking changed something:\n%s\nwas\n%s", after, before)
	}
}

// state is everything that is kept of users, but when sessions were last seen.
func (s *site) state() string {
	s.Helper()
	type row struct{ Text string }
	var all strings.Builder
	for _, query := range []string{
		`SELECT u::text AS text FROM auth.users AS u ORDER BY id`,
		`SELECT (to_jsonb(x) - 'last_activity_at' - 'updated_at')::text AS text FROM auth.sessions AS x ORDER BY id`,
		`SELECT x::text AS text FROM auth.passkeys AS x ORDER BY id`,
		`SELECT x::text AS text FROM auth.user_settings AS x ORDER BY user_id`,
		`SELECT x::text AS text FROM auth.challenges AS x ORDER BY id`,
		`SELECT x::text AS text FROM auth.security_events AS x ORDER BY id`,
		`SELECT x.password AS text FROM auth.accounts AS x ORDER BY id`,
	} {
		rows, err := dbscope.Rows[row](s.Context(), s.db.Pool, dbscope.System(), query)
		if err != nil {
			s.Fatal(err)
		}
		for _, r := range rows {
			all.WriteString(r.Text + "\n")
		}
	}
	return all.String()
}

// accountForms are the forms of the account, each with fields that would work.
func accountForms(email string) map[string][]url.Values {
	return map[string][]url.Values{
		"/account":             {{"action": {"sign-out"}}, {"action": {"name"}, "name": {"Mallory"}}, {"action": {"remove-picture"}}},
		"/account/picture":     {{}},
		"/account/email":       {{"email": {"mallory@example.test"}}},
		"/account/password":    {{"current": {testPassword}, "password": {"another long phrase"}}},
		"/account/two-factor":  {{"action": {"enroll"}, "password": {testPassword}}},
		"/account/passkeys":    {{"action": {"rename"}, "id": {"x"}, "name": {"x"}}, {"action": {"remove"}, "id": {"x"}}, {"action": {"add"}, "response": {"{}"}}},
		"/account/devices":     {{"action": {"revoke-all"}}, {"action": {"revoke-others"}}, {"action": {"revoke"}, "id": {"x"}}},
		"/account/preferences": {{"language": {"de"}}},
		"/account/data/export": {{}},
		"/account/data":        {{"confirm": {email}, "password": {testPassword}}},
	}
}

// A page of another site, a trusted one below the same domain included, can make a
// browser send any of these forms with its cookie. None does anything.
func TestAccountFormsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	s := gallery(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	before := s.state()
	for path, forms := range accountForms("ada@example.test") {
		for _, fields := range forms {
			for name, headers := range map[string][]header{
				"foreign": {with("Origin", foreign), with("Sec-Fetch-Site", "cross-site")}, "sibling": {with("Origin", app), with("Sec-Fetch-Site", "same-site")},
				"null": {with("Origin", "null")}, "nowhere": nil,
			} {
				got := s.send("POST", path, fields.Encode(), append(headers, asForm, cookie)...).status(403)
				if !strings.Contains(got.header.Get("Content-Type"), "text/html") || len(got.header["Set-Cookie"]) > 0 {
					t.Errorf("%s from %s: %v", path, name, got.header)
				}
			}
			s.form(path, fields).status(303) // nobody is signed in
		}
	}
	if after := s.state(); after != before {
		t.Errorf("a foreign form changed something:\n%s\nwas\n%s", after, before)
	}
}

const attackText = `"><script>alert(1)</script><img src=x onerror=alert(1)>`

// What anybody has written of themselves stands on pages as text.
func TestStoredTextsAreEscaped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": "wrong"}, with("User-Agent", attackText)).status(401)
	s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword, "deviceName": attackText, "deviceId": attackText},
		func(h http.Header) { h.Set("User-Agent", attackText) }).status(200)
	s.form("/account", url.Values{"action": {"name"}, "name": {attackText}}, cookie).status(303)
	device := &passkeytest.Authenticator{Origin: base}
	s.addPasskey(device, attackText, cookie).status(303)
	s.db.Tamper(t, `UPDATE auth.security_events SET ip_address = $1, event_type = CASE WHEN event_type = 'registered' THEN $1 ELSE event_type END`, attackText)
	s.change(`UPDATE auth.sessions SET ip_address = $1`, attackText)
	s.change(`INSERT INTO auth.user_settings (user_id, global_settings) SELECT id, jsonb_build_object('locale', $1::text) FROM auth.users`, attackText)
	shown := 0
	for path := range accountSections {
		got := s.send("GET", path, nil, cookie).status(200)
		shown += strings.Count(got.body, "&lt;script&gt;alert(1)")
		if strings.Contains(got.body, "<script>alert") || strings.Contains(got.body, "<img src=x") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if shown < 8 {
		t.Errorf("the texts are shown %d times", shown)
	}
}

func TestProfileSection(t *testing.T) {
	t.Parallel()
	s := gallery(t)
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	for name, want := range map[string]string{"": "too short", "A": "too short", strings.Repeat("x", 101): "too long", "A\u202eB": "not allowed"} {
		if got := s.form("/account", url.Values{"action": {"name"}, "name": {name}}, cookie).status(400); !strings.Contains(got.body, want) {
			t.Errorf("%q: %s", name, got.body)
		}
	}
	if to := s.form("/account", url.Values{"action": {"name"}, "name": {"Ada L."}}, cookie).status(303).header.Get("Location"); to != "/account?done=name" {
		t.Errorf("it leads to %s", to)
	}
	if got := s.send("GET", "/account?done=name", nil, cookie).status(200); !strings.Contains(got.body, "Your name is saved") || !strings.Contains(got.body, `value="Ada L."`) {
		t.Errorf("saved: %s", got.body)
	}

	own := []header{with("Origin", base), cookie}
	upload := func(field, name string, content []byte) answer {
		t.Helper()
		form, kind := asFile(t, field, name, content)
		return s.send("POST", "/account/picture", form, append(own, kind)...)
	}
	for want, got := range map[string]answer{
		"not a picture that we take": upload("file", "me.png", []byte("<svg onload=alert(1)>")).status(400),
		"choose a picture first":     upload("other", "me.png", painted(t, 255)).status(400),
		"damaged or incomplete":      upload("file", "me.png", painted(t, 255)[:60]).status(400),
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s: %s", want, got.body)
		}
	}
	picture := regexp.MustCompile(`<img class="picture" src="(/files/avatars/[^"]+)"`)
	seen := func() string {
		t.Helper()
		got := s.send("GET", "/account", nil, cookie).status(200)
		found := picture.FindStringSubmatch(got.body)
		if found == nil {
			t.Fatalf("no picture: %s", got.body)
		}
		s.send("GET", found[1], nil).status(200)
		return found[1]
	}
	upload("file", "me.png", painted(t, 255)).status(303)
	first := seen()
	upload("file", "me.png", painted(t, 0)).status(303)
	second := seen()
	if first == second {
		t.Error("the second picture lies where the first one lay")
	}
	s.send("GET", first, nil).status(404) // nobody shows it any more
	s.form("/account", url.Values{"action": {"remove-picture"}}, cookie).status(303)
	s.send("GET", second, nil).status(404)
	if got := s.send("GET", "/account?done=no-picture", nil, cookie).status(200); !strings.Contains(got.body, "You have no picture") || strings.Contains(got.body, "remove-picture") {
		t.Errorf("removed: %s", got.body)
	}

	// A picture of another site is neither shown nor removed there, and nobody else's is.
	id, _ := s.member("bob@example.test")
	for _, image := range []string{"https://elsewhere.test/avatars/" + id + "/1.png", base + "/files/avatars/" + id + "/1.png"} {
		s.change(`UPDATE auth.users SET image = $1 WHERE email = 'ada@example.test'`, image)
		if got := s.send("GET", "/account", nil, cookie).status(200); strings.Contains(got.body, `class="picture"`) || !strings.Contains(got.body, "another site") {
			t.Errorf("%s: %s", image, got.body)
		}
	}
	if got := newSite(t); strings.Contains(got.pageOf("ada@example.test", "/account"), `type="file"`) {
		t.Error("a picture is asked for where there is no place for it")
	}
}

// pageOf is a page as a new user sees it.
func (s *site) pageOf(email, path string) string {
	s.Helper()
	s.register(email)
	return s.send("GET", path, nil, s.cookie(email)).status(200).body
}

func TestEmailSection(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	s.register("bob@example.test")
	cookie := s.cookie("ada@example.test")
	for address, want := range map[string]string{"nonsense": "valid e-mail", "ada@example.test": "already"} {
		if got := s.form("/account/email", url.Values{"email": {address}}, cookie).status(400); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s", address, got.body)
		}
	}
	s.form("/account/email", url.Values{"email": {"new@example.test"}}, cookie).status(303)
	if got := s.send("GET", "/account/email?done=sent", nil, cookie).status(200); !strings.Contains(got.body, "Waiting for confirmation: <strong>new@example.test") ||
		!strings.Contains(got.body, "We have sent a link") || !strings.Contains(got.body, "<strong>ada@example.test") {
		t.Errorf("pending: %s", got.body)
	}
	// A change is cancelled, and its link with it.
	dead := mails.newest(t, notice.ConfirmAddress).Token
	s.form("/account/email", url.Values{"cancel": {"true"}}, cookie).status(303)
	if got := s.send("GET", "/account/email?done=email-cancelled", nil, cookie).status(200); strings.Contains(got.body, "Waiting") || !strings.Contains(got.body, "The change is cancelled") {
		t.Errorf("cancelled: %s", got.body)
	}
	if got := s.form("/api/auth/change-email/verify", url.Values{"token": {dead}}); got.code < 400 || !strings.Contains(got.body, "not valid any more") {
		t.Errorf("the link of a change that was cancelled: %d %s", got.code, got.body)
	}
	s.form("/account/email", url.Values{"cancel": {"true"}}, cookie).status(303) // there is none
	s.form("/account/email", url.Values{}, cookie).status(400)
	s.form("/account/email", url.Values{"email": {"new@example.test"}}, cookie).status(303)

	token := mails.newest(t, notice.ConfirmAddress).Token
	s.form("/api/auth/change-email/verify", url.Values{"token": {token}}).status(303)
	if got := s.send("GET", "/account/email", nil, cookie).status(200); !strings.Contains(got.body, "<strong>new@example.test") || strings.Contains(got.body, "Waiting") {
		t.Errorf("confirmed: %s", got.body)
	}
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if got := s.send("GET", "/account/email", nil, cookie).status(200); strings.Contains(got.body, `name="email"`) || !strings.Contains(got.body, `href="/reauthenticate?returnUrl=%2faccount%2femail"`) {
		t.Errorf("without a recent proof: %s", got.body)
	}
	if to := s.form("/account/email", url.Values{"email": {"other@example.test"}}, cookie).status(303).header.Get("Location"); to != "/reauthenticate?returnUrl=%2Faccount%2Femail" {
		t.Errorf("without a recent proof the form leads to %s", to)
	}
	if to := s.form("/reauthenticate", url.Values{"password": {testPassword}, "returnUrl": {"/account/email"}}, cookie).status(303).header.Get("Location"); to != base+"/account/email" {
		t.Errorf("the proof leads to %s", to)
	}
	s.form("/account/email", url.Values{"email": {"other@example.test"}}, cookie).status(303)
}

// newest is the last mail of a kind, whatever came after it.
func (m *mailbox) newest(t *testing.T, kind notice.Kind) notice.Notice {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range slices.Backward(m.notices) {
		if n.Kind == kind {
			return n
		}
	}
	t.Fatalf("no mail %s in %+v", kind, m.notices)
	return notice.Notice{}
}

func TestPasswordSection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie, other := s.cookie("ada@example.test"), s.cookie("ada@example.test")
	const next = "another long phrase"
	for _, row := range []struct {
		current, next string
		status        int
		want          string
	}{
		{"wrong", next, 401, "The password is wrong"}, {"", next, 400, "enter your current password"}, {testPassword, "short", 400, "too short"},
		{testPassword, "password1", 400, "too common"},
	} {
		got := s.form("/account/password", url.Values{"current": {row.current}, "password": {row.next}}, cookie).status(row.status)
		if !strings.Contains(got.body, row.want) || strings.Contains(got.body, `value="`+row.next) {
			t.Errorf("%+v: %s", row, got.body)
		}
	}
	s.form("/account/password", url.Values{"current": {testPassword}, "password": {next}}, cookie).status(303)
	if got := s.send("GET", "/account/password?done=password", nil, cookie).status(200); !strings.Contains(got.body, "All other devices are signed out") {
		t.Errorf("changed: %s", got.body)
	}
	s.send("GET", "/account", nil, other).status(303)
	s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {next}}).status(303)
	if got := s.send("GET", "/account/devices", nil, cookie).status(200); !strings.Contains(got.body, "Your password was changed. Other sessions were ended") {
		t.Errorf("why: %s", got.body)
	}
	s.change(`DELETE FROM auth.accounts`)
	if got := s.send("GET", "/account/password", nil, cookie).status(200); !strings.Contains(got.body, "has no password") || strings.Contains(got.body, `name="current"`) {
		t.Errorf("without a password: %s", got.body)
	}
	s.form("/account/password", url.Values{"current": {next}, "password": {testPassword}}, cookie).status(404)
}

func TestDevicesSection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	cookie, other := s.cookie("ada@example.test"), s.cookie("ada@example.test")
	_, refresh := s.login("ada@example.test")
	if got := s.send("GET", "/account/devices", nil, cookie).status(200); !strings.Contains(got.body, "No session has been ended yet") {
		t.Errorf("nothing ended: %s", got.body)
	}
	// A refresh token that comes again when it is two generations old.
	now := refresh
	for range 2 {
		now = s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": now}).status(200).text("refreshToken")
	}
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(401)
	if got := s.send("GET", "/account/devices", nil, cookie, with("Accept-Language", "de")).status(200); !strings.Contains(got.body, "Ein Anmeldeschlüssel wurde zweimal benutzt") {
		t.Errorf("reuse: %s", got.body)
	}
	out := s.form("/account/devices", url.Values{"action": {"revoke-all"}}, cookie).status(303)
	if c := out.session(); c == nil || c.Value != "" || out.header.Get("Location") != "/login" {
		t.Errorf("sign out everywhere: %v", out.header)
	}
	for _, c := range []header{cookie, other} {
		s.send("GET", "/account", nil, c).status(303)
	}
	cookie = s.cookie("ada@example.test")
	if got := s.send("GET", "/account/devices", nil, cookie).status(200); !strings.Contains(got.body, "You ended sessions on the page") {
		t.Errorf("why: %s", got.body)
	}
	s.db.Tamper(t, `UPDATE auth.security_events SET metadata = '{"operator":"root","reason":"asked on the phone","cause":"session_revoked"}' WHERE event_type = 'session_revoked'`)
	if got := s.send("GET", "/account/devices", nil, cookie).status(200); !strings.Contains(got.body, "The operator ended sessions of yours") {
		t.Errorf("by an operator: %s", got.body)
	}
	s.db.Tamper(t, `UPDATE auth.security_events SET metadata = '[1]' WHERE event_type = 'session_revoked'`)
	s.send("GET", "/account/devices", nil, cookie).status(200)
}

func TestEventsSection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, _ := s.member("ada@example.test")
	_, _ = s.member("bob@example.test")
	cookie := s.cookie("ada@example.test")
	s.change(`INSERT INTO auth.security_events (user_id, event_type, user_agent, created_at)
		SELECT $1, 'login_failed', 'Try/' || n, now() - make_interval(mins => n) FROM generate_series(1, 60) AS n`, id)
	older := regexp.MustCompile(`href="(/account/events\?before=[^"]+)"`)
	total, path := 0, "/account/events"
	for pages := 1; ; pages++ {
		got := s.send("GET", path, nil, cookie).status(200)
		total += strings.Count(got.body, "<li><span>")
		if len(got.body) > pageLimit {
			t.Errorf("%d bytes", len(got.body))
		}
		next := older.FindStringSubmatch(got.body)
		if next == nil {
			if pages != 3 || !strings.Contains(got.body, "Newest entries") {
				t.Errorf("%d pages, the last one: %s", pages, got.body)
			}
			break
		}
		path = next[1]
	}
	type count struct{ N int }
	want, err := dbscope.Row[count](t.Context(), s.db.Pool, dbscope.System(), `SELECT count(*)::int AS n FROM auth.security_events WHERE user_id = $1`, id)
	if err != nil || total != want.N {
		t.Errorf("%d of %d events, %v", total, want.N, err)
	}
	// An event of somebody else's is no place to go on from.
	foreign, err := dbscope.Row[struct{ ID string }](t.Context(), s.db.Pool, dbscope.System(),
		`SELECT id::text AS id FROM auth.security_events WHERE user_id <> $1 LIMIT 1`, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.send("GET", "/account/events?before="+foreign.ID, nil, cookie).status(200); strings.Contains(got.body, "<li><span>") {
		t.Errorf("after a foreign event: %s", got.body)
	}
	s.send("GET", "/account/events?before=nonsense", nil, cookie).status(400)
}

func TestPreferencesSection(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	cookie := s.cookie("ada@example.test")
	if got := s.send("GET", "/account/preferences", nil, cookie).status(200); !strings.Contains(got.body, `<option value="" selected>`) || !strings.Contains(got.body, `name="newDevice" value="true" checked`) {
		t.Errorf("nothing chosen: %s", got.body)
	}
	forgot := func() string {
		t.Helper()
		s.form("/forgot-password", url.Values{"email": {"ada@example.test"}}, with("Accept-Language", "en")).status(200)
		return mails.last(t, notice.ResetPassword).Language
	}
	if got := forgot(); got != "" {
		t.Errorf("a mail in %q before a language is chosen", got)
	}
	s.form("/account/preferences", url.Values{"language": {"de"}, "newDevice": {"true"}}, cookie).status(303)
	if got := forgot(); got != "de" {
		t.Errorf("a mail in %q", got)
	}
	if got := s.send("GET", "/account/preferences?done=saved", nil, cookie).status(200); !strings.Contains(got.body, `<option value="de" lang="de" selected>`) || !strings.Contains(got.body, "Saved.") {
		t.Errorf("saved: %s", got.body)
	}
	access, _ := s.login("ada@example.test")
	global := func() map[string]any {
		t.Helper()
		return s.send("GET", "/api/v1/settings", nil, bearer(access)).status(200).object()["globalSettings"].(map[string]any)
	}
	s.send("PATCH", "/api/v1/settings/global", `{"theme":{"mode":"dark"}}`, bearer(access)).status(200)
	s.form("/account/preferences", url.Values{"language": {""}}, cookie).status(303)
	if got := global(); got["locale"] != "de" || got["theme"].(map[string]any)["mode"] != "dark" || fmt.Sprint(got["notices"]) != "map[credits:false newDevice:false]" {
		t.Errorf("settings: %v", got)
	}
	if got := forgot(); got != "" {
		t.Errorf("a mail in %q after the choice was taken back", got)
	}
	if got := s.send("GET", "/account/preferences", nil, cookie).status(200); strings.Contains(got.body, "checked") {
		t.Errorf("switched off: %s", got.body)
	}
	// A language of the apps that the pages do not have is left alone.
	s.send("PATCH", "/api/v1/settings/global", `{"locale":"fr-CA"}`, bearer(access)).status(200)
	if got := s.send("GET", "/account/preferences", nil, cookie).status(200); !strings.Contains(got.body, `<option value="fr-CA" selected>`) {
		t.Errorf("another language: %s", got.body)
	}
	s.form("/account/preferences", url.Values{"language": {"fr-CA"}}, cookie).status(303)
	s.form("/account/preferences", url.Values{"language": {"xx"}}, cookie).status(303)
	if got := global(); got["locale"] != "fr-CA" {
		t.Errorf("the language is %v", got["locale"])
	}
}

func TestDataSection(t *testing.T) {
	t.Parallel()
	s, mails, others := dataSite(t)
	s.register("ada@example.test")
	s.change(`UPDATE auth.users SET email_verified = true`)
	cookie := s.cookie("ada@example.test")
	file := s.form("/account/data/export", url.Values{}, cookie).status(200)
	if !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment; filename=") || !json.Valid([]byte(file.body)) || !strings.Contains(file.body, "ada@example.test") {
		t.Errorf("export: %v %s", file.header, file.body)
	}
	s.form("/account/preferences", url.Values{"language": {"en"}}, cookie).status(303)
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if to := s.form("/account/data/export", url.Values{}, cookie).status(303).header.Get("Location"); to != "/reauthenticate?returnUrl=%2Faccount%2Fdata" {
		t.Errorf("without a recent proof the export leads to %s", to)
	}
	if got := s.send("GET", "/account/data", nil, cookie).status(200); strings.Contains(got.body, "/account/data/export") || !strings.Contains(got.body, `name="password"`) {
		t.Errorf("without a recent proof: %s", got.body)
	}
	before := s.state()
	for _, row := range []struct {
		confirm, password string
		status            int
		want              string
	}{
		{"", testPassword, 400, "not your e-mail address"}, {"bob@example.test", testPassword, 400, "not your e-mail address"},
		{"ada@example.test", "wrong", 401, "The password is wrong"},
	} {
		if got := s.form("/account/data", url.Values{"confirm": {row.confirm}, "password": {row.password}}, cookie).status(row.status); !strings.Contains(got.body, row.want) {
			t.Errorf("%+v: %s", row, got.body)
		}
	}
	if to := s.form("/account/data", url.Values{"confirm": {"ada@example.test"}}, cookie).status(303).header.Get("Location"); to != "/reauthenticate?returnUrl=%2Faccount%2Fdata" {
		t.Errorf("without any proof it leads to %s", to)
	}
	if after := s.state(); strings.Count(after, "login_failed") != 1 || strings.Count(before, "\n")+1 != strings.Count(after, "\n") {
		t.Errorf("a refused deletion changed more than the count of wrong passwords:\n%s\nwas\n%s", after, before)
	}
	gone := s.form("/account/data", url.Values{"confirm": {" ADA@example.test "}, "password": {testPassword}}, cookie, with("Accept-Language", "de")).status(200)
	if c := gone.session(); c == nil || c.Value != "" || !strings.Contains(gone.body, "Dein Konto ist gelöscht") || !strings.Contains(gone.body, "<li>Todo</li>") || strings.Contains(gone.body, "<li>Chat</li>") {
		t.Errorf("deleted: %v %s", gone.header, gone.body)
	}
	if len(others.deleted) != 1 {
		t.Errorf("the apps were told %v", others.deleted)
	}
	if mail := mails.last(t, notice.AccountDeleted); mail.Language != "en" {
		t.Errorf("the receipt is in %q", mail.Language)
	}
	s.send("GET", "/account", nil, cookie).status(303)
	s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}).status(401)

	// Who has no password shows who they are in another way.
	s.register("bob@example.test")
	cookie = s.cookie("bob@example.test")
	s.change(`DELETE FROM auth.accounts`)
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if got := s.send("GET", "/account/data", nil, cookie).status(200); strings.Contains(got.body, `name="password"`) || strings.Contains(got.body, `name="confirm"`) {
		t.Errorf("without a password: %s", got.body)
	}
	s.change(`UPDATE auth.sessions SET authenticated_at = now()`)
	s.form("/account/data", url.Values{"confirm": {"bob@example.test"}}, cookie).status(200)
}

// addPasskey makes a passkey and sends it by the form of the page.
func (s *site) addPasskey(device *passkeytest.Authenticator, name string, cookie header) answer {
	s.Helper()
	response, state := s.ceremony(s.send("POST", "/api/v1/auth/passkeys/register/options", nil, cookie, with("Origin", base)).status(200), device.Create)
	return s.form("/account/passkeys", url.Values{"action": {"add"}, "name": {name}, "response": {response}}, cookie, state)
}

// ceremony has a device answer the options of an answer.
func (s *site) ceremony(options answer, do func(json.RawMessage) (json.RawMessage, error)) (response string, state header) {
	s.Helper()
	made, err := do(json.RawMessage(options.body))
	if err != nil {
		s.Fatal(err)
	}
	state, _ = setCookie(options, "mana.passkey_challenge")
	return string(made), state
}

func TestPasskeysOnPages(t *testing.T) {
	t.Parallel()
	s, mails := mailSite(t)
	cookie := s.cookie("ada@example.test")
	device := &passkeytest.Authenticator{Origin: base}
	const options = "/api/v1/auth/passkeys/authenticate/options"
	if got := s.send("GET", "/account/passkeys", nil, cookie).status(200); !strings.Contains(got.body, `data-passkey="create"`) || !strings.Contains(got.body, "<noscript>") {
		t.Errorf("none: %s", got.body)
	}
	if got := s.form("/account/passkeys", url.Values{"action": {"add"}, "response": {"{}"}}, cookie).status(401); !strings.Contains(got.body, "was not accepted") {
		t.Errorf("nonsense: %s", got.body)
	}
	if to := s.addPasskey(device, "Laptop", cookie).status(303).header.Get("Location"); to != "/account/passkeys?done=added" {
		t.Errorf("it leads to %s", to)
	}
	mails.last(t, notice.FactorAdded)
	page := s.send("GET", "/account/passkeys", nil, cookie).status(200)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page.body)
	if id == nil || !strings.Contains(page.body, "<strong>Laptop</strong>") || !strings.Contains(page.body, "never used") {
		t.Fatalf("one: %s", page.body)
	}
	s.form("/account/passkeys", url.Values{"action": {"rename"}, "id": {id[1]}, "name": {"Blue"}}, cookie).status(303)
	s.form("/account/passkeys", url.Values{"action": {"rename"}, "id": {id[1]}, "name": {strings.Repeat("x", 101)}}, cookie).status(400)
	s.form("/account/passkeys", url.Values{"action": {"rename"}, "id": {"nonsense"}, "name": {"Blue"}}, cookie).status(404)
	s.register("bob@example.test")
	bob := s.cookie("bob@example.test")
	s.form("/account/passkeys", url.Values{"action": {"rename"}, "id": {id[1]}, "name": {"Mine"}}, bob).status(404)
	s.form("/account/passkeys", url.Values{"action": {"remove"}, "id": {id[1]}}, bob).status(404)

	// Alone, at the sign-in page: the target is kept, and no app session is made.
	login := s.send("GET", "/login?returnUrl="+url.QueryEscape(app+"/x"), nil).status(200)
	if !strings.Contains(login.body, `autocomplete="username webauthn"`) || strings.Count(login.body, `name="returnUrl" value="`+app+`/x"`) != 2 {
		t.Errorf("the sign-in page: %s", login.body)
	}
	response, state := s.ceremony(s.send("POST", options, `{}`).status(200), device.Get)
	fields := url.Values{"response": {response}, "returnUrl": {app + "/x"}}
	s.send("POST", "/login", fields.Encode(), asForm, with("Origin", app), state).status(403)
	if got := s.form("/login", fields, with("Accept-Language", "de")).status(401); !strings.Contains(got.body, "Der Passkey wurde nicht angenommen") || !strings.Contains(got.body, app+"/x") {
		t.Errorf("without the state: %s", got.body)
	}
	signed := s.form("/login", fields, state).status(303)
	if to := signed.header.Get("Location"); to != app+"/x" || signed.session() == nil {
		t.Errorf("it leads to %s", to)
	}
	by := cookieOf(t, signed)
	if got := s.send("GET", "/account/devices", nil, by).status(200); strings.Contains(got.body, "<strong>App</strong>") || !strings.Contains(got.body, "this device") {
		t.Errorf("devices: %s", got.body)
	}
	if again := s.form("/login", fields, state).status(401); again.session() != nil {
		t.Error("one answer signs in twice")
	}

	// To show once more who one is.
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if got := s.send("GET", "/account/passkeys", nil, by).status(200); strings.Contains(got.body, "data-passkey=") || !strings.Contains(got.body, `href="/reauthenticate?returnUrl=%2faccount%2fpasskeys"`) {
		t.Errorf("without a recent proof: %s", got.body)
	}
	s.form("/account/passkeys", url.Values{"action": {"remove"}, "id": {id[1]}}, by).status(303)
	if got := s.send("GET", "/reauthenticate?returnUrl=/account/passkeys", nil, by).status(200); !strings.Contains(got.body, `data-passkey="get"`) {
		t.Errorf("reauthenticate: %s", got.body)
	}
	response, state = s.ceremony(s.send("POST", options, `{}`).status(200), device.Get)
	if got := s.form("/reauthenticate", url.Values{"response": {response}}, bob, state).status(401); !strings.Contains(got.body, "was not accepted") {
		t.Errorf("somebody else's passkey: %s", got.body)
	}
	response, state = s.ceremony(s.send("POST", options, `{}`).status(200), device.Get)
	if to := s.form("/reauthenticate", url.Values{"response": {response}, "returnUrl": {"/account/passkeys"}}, by, state).status(303).header.Get("Location"); to != base+"/account/passkeys" {
		t.Errorf("it leads to %s", to)
	}

	// As the second factor.
	access, _ := s.login("ada@example.test")
	s.withFactor(bearer(access))
	asked := s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "returnUrl": {app + "/y"}}).status(303)
	challenge, _ := setCookie(asked, "mana.two_factor")
	if got := s.send("GET", "/two-factor?returnUrl="+url.QueryEscape(app+"/y"), nil, challenge).status(200); !strings.Contains(got.body, `data-body="{&#34;secondFactor&#34;:true}"`) && !strings.Contains(got.body, `data-body="{&quot;secondFactor&quot;:true}"`) {
		t.Errorf("second factor: %s", got.body)
	}
	s.send("POST", options, `{"secondFactor":true}`).status(401)
	response, state = s.ceremony(s.send("POST", options, `{}`).status(200), device.Get)
	if got := s.form("/two-factor", url.Values{"response": {response}}, challenge, state).status(401); !strings.Contains(got.body, "was not accepted") {
		t.Errorf("an answer to a sign-in: %s", got.body)
	}
	response, state = s.ceremony(s.send("POST", options, `{"secondFactor":true}`, challenge).status(200), device.Get)
	met := s.form("/two-factor", url.Values{"response": {response}, "returnUrl": {app + "/y"}}, challenge, state).status(303)
	if to := met.header.Get("Location"); to != app+"/y" || met.session() == nil {
		t.Errorf("it leads to %s", to)
	}
	s.send("GET", "/two-factor", nil, challenge).status(303)

	// The last way in stays.
	s.change(`DELETE FROM auth.accounts`)
	if got := s.form("/account/passkeys", url.Values{"action": {"remove"}, "id": {id[1]}}, by).status(409); !strings.Contains(got.body, "last way into your account") || !strings.Contains(got.body, "<strong>Blue</strong>") {
		t.Errorf("the last one: %s", got.body)
	}
	s.addPasskey(&passkeytest.Authenticator{Origin: base}, "", by).status(303)
	s.form("/account/passkeys", url.Values{"action": {"remove"}, "id": {id[1]}}, by).status(303)
}

// Pictures at another place than this site are shown by this site.
func TestPicturesOfAnObjectStoreAreShownHere(t *testing.T) {
	t.Parallel()
	disk, err := objectstore.NewDisk(t.TempDir(), "https://pictures.elsewhere.test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		find := d.Credits
		d.Credits = func(ctx context.Context) (*api.Credits, error) {
			c, err := find(ctx)
			if err == nil {
				c.Pictures = storage.Store{Objects: disk, Encoder: avatar.NewReencoder(1)}
			}
			return c, err
		}
	})
	s.register("ada@example.test")
	cookie := s.cookie("ada@example.test")
	form, kind := asFile(t, "file", "me.png", painted(t, 255))
	s.send("POST", "/account/picture", form, with("Origin", base), cookie, kind).status(303)
	page := s.send("GET", "/account", nil, cookie).status(200)
	found := regexp.MustCompile(`<img class="picture" src="(/files/avatars/[^"]+)"`).FindStringSubmatch(page.body)
	if found == nil || strings.Contains(page.body, "elsewhere") {
		t.Fatalf("%s", page.body)
	}
	s.send("GET", found[1], nil).status(200)
}
