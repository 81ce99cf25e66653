package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// signedUp is the access token of a new user.
func (s *site) signedUp(email string) string {
	s.Helper()
	s.send("POST", "/api/v1/auth/register", map[string]string{"email": email, "password": testPassword}).status(201)
	return s.send("POST", "/api/v1/auth/login", map[string]string{"email": email, "password": testPassword}).status(200).text("accessToken")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, bob := bearer(s.signedUp("ada@example.test")), bearer(s.signedUp("bob@example.test"))
	const none = `{"success":true,"globalSettings":{"locale":"de","nav":{"desktopPosition":"top","sidebarCollapsed":false},` +
		`"theme":{"colorScheme":"ocean","mode":"system","pinnedThemes":[]}},"appOverrides":{},"deviceSettings":{}}`
	want := func(got answer, want string) {
		t.Helper()
		if body := strings.TrimSpace(got.status(200).body); body != want {
			t.Errorf("got\n%s, want\n%s", body, want)
		}
	}
	want(s.send("GET", "/api/v1/settings", nil, ada), none)
	got := s.send("PATCH", "/api/v1/settings/global", `{"nav":{"sidebarCollapsed":true,"hiddenNavItems":{"chat":["a"]}},"theme":{"mode":"dark","pinnedThemes":["x","y"]},`+
		`"locale":"en","recentEmojis":["😀"],"interests":["go"],"displayName":"Ada","onboardingCompleted":true}`, ada)
	want(got, `{"success":true,"globalSettings":{"displayName":"Ada","interests":["go"],"locale":"en",`+
		`"nav":{"desktopPosition":"top","hiddenNavItems":{"chat":["a"]},"sidebarCollapsed":true},"onboardingCompleted":true,"recentEmojis":["😀"],`+
		`"theme":{"colorScheme":"ocean","mode":"dark","pinnedThemes":["x","y"]}},"appOverrides":{},"deviceSettings":{}}`)
	s.send("PATCH", "/api/v1/settings/global", `{"theme":{"pinnedThemes":["z"]}}`, ada).status(200)
	s.send("PATCH", "/api/v1/settings/app/chat", `{"theme":{"mode":"light"}}`, ada).status(200)
	got = s.send("PATCH", "/api/v1/settings/app/chat", `{"nav":{"desktopPosition":"bottom"},"theme":{"colorScheme":"fire"}}`, ada)
	for _, part := range []string{`"pinnedThemes":["z"]`, `"appOverrides":{"chat":{"nav":{"desktopPosition":"bottom"},"theme":{"colorScheme":"fire","mode":"light"}}}`} {
		if !strings.Contains(got.body, part) {
			t.Errorf("%s is not in %s", part, got.body)
		}
	}
	s.send("PATCH", "/api/v1/settings/device/d%201/chat", `{"deviceName":"Laptop","deviceType":"desktop","settings":{"zoom":1.25,"panel":{"a":1}}}`, ada).status(200)
	s.send("PATCH", "/api/v1/settings/device/d%201/chat", `{"settings":{"panel":{"b":2}}}`, ada).status(200)
	s.send("PATCH", "/api/v1/settings/device/d%201/todo", `{"settings":{}}`, ada).status(200)
	want(s.send("GET", "/api/v1/settings/device/d%201/chat", nil, ada), `{"success":true,"settings":{"panel":{"a":1,"b":2},"zoom":1.25}}`)
	want(s.send("GET", "/api/v1/settings/device/d%201/other", nil, ada), `{"success":true,"settings":{}}`)
	var list struct {
		Devices []struct {
			DeviceID, DeviceName, DeviceType, LastSeen string
			AppCount                                   int
		}
	}
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/settings/devices", nil, ada).status(200).body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Devices) != 1 || list.Devices[0].DeviceID != "d 1" || list.Devices[0].DeviceName != "Laptop" || list.Devices[0].DeviceType != "desktop" ||
		list.Devices[0].AppCount != 2 || list.Devices[0].LastSeen == "" {
		t.Errorf("devices: %+v", list)
	}
	want(s.send("GET", "/api/v1/settings", nil, bob), none)
	want(s.send("GET", "/api/v1/settings/devices", nil, bob), `{"success":true,"devices":[]}`)
	s.send("DELETE", "/api/v1/settings/device/d%201/todo", nil, ada).status(200)
	s.send("DELETE", "/api/v1/settings/device/d%201", nil, ada).status(200)
	if got := s.send("DELETE", "/api/v1/settings/app/chat", nil, ada).status(200); !strings.HasSuffix(strings.TrimSpace(got.body), `"appOverrides":{},"deviceSettings":{}}`) {
		t.Errorf("after all was dropped: %s", got.body)
	}
	s.send("GET", "/api/v1/settings", nil).status(401)
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := bearer(s.signedUp("ada@example.test"))
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	for _, row := range []struct{ path, body, text string }{
		{"global", `{"nav":{"desktopPosition":"left"}}`, "nav.desktopPosition must be one of the following values: top, bottom"},
		{"global", `{"nav":{"sidebarCollapsed":"yes"}}`, "nav.sidebarCollapsed must be a boolean value"},
		{"global", `{"nav":{"hiddenNavItems":{"a":[1]}}}`, "each value in nav.hiddenNavItems.a must be a string"},
		{"global", `{"nav":[]}`, "nav must be an object"},
		{"global", `{"theme":{"mode":1}}`, "theme.mode must be one of the following values: light, dark, system"},
		{"global", `{"theme":{"pinnedThemes":"x"}}`, "theme.pinnedThemes must be an array"},
		{"global", `{"recentEmojis":[1]}`, "each value in recentEmojis must be a string"},
		{"global", `{"interests":{}}`, "interests must be an array"},
		{"global", `{"unknown":1}`, "property unknown should not exist"},
		{"device/d/a", `{"settings":[]}`, "settings must be an object"},
		{"device/d/a", `{"deviceType":"watch","settings":{}}`, "deviceType must be one of the following values: desktop, mobile, tablet"},
		{"device/d/a", `{"settings":{"a":"x\u0000y"}}`, "settings must"},
	} {
		if got := s.send("PATCH", "/api/v1/settings/"+row.path, row.body, ada).status(400); !strings.Contains(got.body, row.text) {
			t.Errorf("%.60s: %s", row.body, got.body)
		}
	}
	if got := s.send("PATCH", "/api/v1/settings/device/d/a", `{"settings":`+deep+`}`, ada); got.code != 400 {
		t.Errorf("depth 1000: %d", got.code)
	}
	large := func(n int) string { return fmt.Sprintf(`{"settings":{"a":"%s"}}`, strings.Repeat("x", n)) }
	s.send("PATCH", "/api/v1/settings/device/d/a", large(40<<10), ada).status(200)
	if got := s.send("PATCH", "/api/v1/settings/device/d/b", large(40<<10), ada).status(413); got.text("code") != "SETTINGS_TOO_LARGE" {
		t.Errorf("too much: %s", got.body)
	}
	s.send("PATCH", "/api/v1/settings/device/d/b", large(1<<20), ada).status(413)
	if got := s.send("GET", "/api/v1/settings/devices", nil, ada).status(200); !strings.Contains(got.body, `"appCount":1`) {
		t.Errorf("something of what was refused is kept: %s", got.body)
	}
}

// Apps that change settings at once lose nothing of each other's.
func TestSettingsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := bearer(s.signedUp("ada@example.test"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s.send("PATCH", fmt.Sprintf("/api/v1/settings/app/app%d", i), `{"theme":{"mode":"dark"}}`, ada).status(200)
		})
	}
	wg.Wait()
	if got := s.send("GET", "/api/v1/settings", nil, ada).status(200); strings.Count(got.body, `"mode":"dark"`) != 8 {
		t.Errorf("settings: %s", got.body)
	}
}

func TestSecurityEventsOfTheCaller(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, bob := bearer(s.signedUp("ada@example.test")), bearer(s.signedUp("bob@example.test"))
	s.send("POST", "/api/v1/auth/change-password", `{"currentPassword":"`+testPassword+`","newPassword":"a new and long password"}`, ada).status(200)
	type event struct{ ID, EventType, UserAgent string }
	read := func(query string, who header) (list []event) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/auth/security-events"+query, nil, who).status(200).body), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	all := read("", ada)
	if len(all) < 3 || all[0].EventType != "password_changed" || all[len(all)-1].EventType != "registered" || all[0].UserAgent != "Test/1.0" {
		t.Errorf("events: %+v", all)
	}
	if page := read("?limit=1", ada); len(page) != 1 || page[0].ID != all[0].ID {
		t.Errorf("the first page: %+v", page)
	}
	if page := read("?limit=1&before="+all[0].ID, ada); len(page) != 1 || page[0].ID != all[1].ID {
		t.Errorf("the second page: %+v", page)
	}
	if page := read("?before="+all[len(all)-1].ID, ada); len(page) != 0 {
		t.Errorf("the last page: %+v", page)
	}
	if page := read("?before="+all[0].ID, bob); len(page) != 0 {
		t.Errorf("behind an event of another user: %+v", page)
	}
	for _, e := range read("", bob) {
		if e.EventType == "password_changed" {
			t.Error("one user sees another's events")
		}
	}
	s.send("GET", "/api/v1/auth/security-events?before=nonsense", nil, ada).status(400)
	s.send("GET", "/api/v1/auth/security-events", nil).status(401)
}

func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.signedUp("ada@example.test")
	login := map[string]string{"email": "ada@example.test", "password": testPassword}
	second := s.send("POST", "/api/v1/auth/login", login).status(200).text("accessToken")
	s.send("DELETE", "/api/v1/auth/sessions?all=perhaps", nil, bearer(first)).status(400)
	if got := s.send("DELETE", "/api/v1/auth/sessions?all=false", nil, bearer(first)).status(200); !strings.Contains(got.body, `"revoked":1`) {
		t.Errorf("the others: %s", got.body)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(second)).status(401)
	s.send("GET", "/api/v1/auth/profile", nil, bearer(first)).status(200)
	s.send("POST", "/api/v1/auth/login", login).status(200)
	got := s.send("DELETE", "/api/v1/auth/sessions?all=true", nil, bearer(first)).status(200)
	if !strings.Contains(got.body, `"revoked":2`) || !strings.Contains(strings.Join(got.header["Set-Cookie"], ""), "Max-Age=0") {
		t.Errorf("everywhere: %v %s", got.header, got.body)
	}
	s.send("GET", "/api/v1/auth/profile", nil, bearer(first)).status(401)
}
