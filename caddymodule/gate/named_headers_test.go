package gate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// rename gives a person another name and a picture.
func rename(t *testing.T, s *authcore.Service, p edgetest.Person, name, picture string) {
	t.Helper()
	_, err := s.UpdateProfile(t.Context(), principal.Caller{UserID: p.User.ID, Role: p.User.Role, SessionID: p.Tokens.SessionID},
		authcore.ProfileChange{Name: &name, Image: &picture})
	if err != nil {
		t.Fatal(err)
	}
}

func TestProfileHeaders(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	rename(t, s, ada, "Ada Lovelace", "https://pictures.example.test/a%20b.png")
	bearer := "Authorization: Bearer " + ada.Tokens.AccessToken
	g := edgetest.Gate(s, &gate.Gate{Headers: []string{"name", "picture"}})

	got := func(g *gate.Gate, headers ...string) []string {
		t.Helper()
		_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", headers...))
		if up == nil {
			t.Fatal("the upstream was not reached")
		}
		return append(up.Header.Values("X-Mana-Name"), up.Header.Values("X-Mana-Picture")...)
	}
	want := []string{"Ada%20Lovelace", "https://pictures.example.test/a%2520b.png"}
	for _, credential := range []string{bearer, "Cookie: " + ada.Cookie} {
		if diff := cmp.Diff(want, got(g, credential, "X-Mana-Name: Eve", "X_Mana_Picture: x")); diff != "" {
			t.Error(diff)
		}
	}
	rename(t, s, ada, "Ada Żółć", "")
	if diff := cmp.Diff([]string{"Ada%20%C5%BB%C3%B3%C5%82%C4%87"}, got(g, bearer)); diff != "" {
		t.Errorf("after a change: %s", diff)
	}
	if diff := cmp.Diff([]string(nil), got(edgetest.Gate(s, &gate.Gate{}), bearer, "X-Mana-Name: Eve")); diff != "" {
		t.Errorf("where it is off: %s", diff)
	}
	if diff := cmp.Diff([]string(nil), got(edgetest.Gate(s, &gate.Gate{Optional: true, Headers: []string{"name"}}), "X-Mana-Name: Eve")); diff != "" {
		t.Errorf("of a guest: %s", diff)
	}
}

func TestNamedHeaders(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	rename(t, s, ada, "Jörg 100%", "")
	g := edgetest.Gate(s, &gate.Gate{Optional: true, Header: []gate.NamedHeader{
		{Name: "X-WEBAUTH-USER", Value: "{http.auth.user.email}"}, {Name: "X-WEBAUTH-NAME", Value: "{http.auth.user.name} ({http.auth.user.role})"},
		{Name: "X-WEBAUTH-ORG", Value: "{http.auth.user.org}"},
	}})
	forged := []string{"X-Webauth-User: root", "x_webauth_name: root", "X.Webauth-Org: root", "Connection: X-Webauth-User, x_webauth_name, close", "X-Other: kept"}
	told := func(r *http.Request) map[string][]string {
		h := make(map[string][]string)
		for name, values := range r.Header {
			if folded := strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name)); strings.HasPrefix(folded, "x-webauth") || folded == "connection" || folded == "x-other" {
				h[name] = values
			}
		}
		return h
	}
	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/", append(forged, "Cookie: "+ada.Cookie)...))
	if diff := cmp.Diff(map[string][]string{
		"X-Webauth-User": {"ada@example.test"}, "X-Webauth-Name": {"Jörg 100% (user)"}, "Connection": {"close"}, "X-Other": {"kept"},
	}, told(up)); diff != "" {
		t.Error(diff)
	}
	_, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/", forged...))
	if diff := cmp.Diff(map[string][]string{"Connection": {"close"}, "X-Other": {"kept"}}, told(up)); diff != "" {
		t.Errorf("of a guest: %s", diff)
	}
}

func TestNamedHeaderFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"X Y": "not the name", "Authorization": "says something else", "cookie": "says something else", "X_Forwarded_For": "says something else",
		"X-Mana-Name": "the edge's own", "Content-Type": "says something else", "X-WEBAUTH-USER": "", "Remote-User": "", "X-Forwarded-User": "",
	} {
		err := (&gate.Gate{Header: []gate.NamedHeader{{Name: name, Value: "{http.auth.user.id}"}}}).Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	for value, want := range map[string]string{
		"{http.auth.user.shoe_size}": "no placeholder", "{http.request.host}": "no placeholder", "a\nb": "cannot hold", "u-{http.auth.user.id}": "",
	} {
		err := (&gate.Gate{Header: []gate.NamedHeader{{Name: "X-User", Value: value}}}).Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
	for _, g := range []*gate.Gate{
		{Headers: []string{"shoe_size"}}, {Off: true, Headers: []string{"name"}}, {Off: true, Header: []gate.NamedHeader{{Name: "X-User", Value: "x"}}},
		{Header: []gate.NamedHeader{{Name: "X-User", Value: "x"}, {Name: "x_user", Value: "y"}}},
	} {
		if err := g.Validate(); err == nil {
			t.Errorf("%+v is taken", g)
		}
	}
}

// The documented sites of apps that bring users of their own: the app is told who
// passes under the names that it knows, and nobody else can say so, guests on
// routes that are let through included.
func TestLiveDocumentedProxiedApps(t *testing.T) {
	page, err := os.ReadFile("../../docs/proxied-apps.md")
	if err != nil {
		t.Fatal(err)
	}
	sites := regexp.MustCompile("(?s)```caddyfile\n\\{\n.*?\n\\}\n\n[^{]+\\{\n(.*?)\n}\n```").FindAllStringSubmatch(string(page), -1)
	apps := []string{"Grafana", "Gitea", "Nextcloud", "Jellyfin", "Miniflux"}
	if len(sites) != len(apps) {
		t.Fatalf("%d sites in the page, want %d", len(sites), len(apps))
	}
	unasked := map[string]string{"Gitea": "/ada/code.git/info/refs", "Nextcloud": "/remote.php/dav"}
	for i, app := range apps {
		t.Run(app, func(t *testing.T) {
			directives := regexp.MustCompile(`(?m)^\s*reverse_proxy .*$`).ReplaceAllStringFunc(sites[i][1], func(string) string { return "" })
			// Each handle block has an app of its own in the page; here all are before the one of the test.
			directives = regexp.MustCompile(`(?m)^\thandle.*\{$`).ReplaceAllStringFunc(directives, func(s string) string { return strings.Replace(s, "handle", "route", 1) })
			if strings.Contains(directives, "\troute {") {
				matcher := regexp.MustCompile(`(?m)^\t(@\w+) (.*)$`).FindStringSubmatch(directives)
				rest := regexp.MustCompile(`(?s)\troute \{\n\t\tmana_auth (\{.*?\n\t\t\})\n`).FindStringSubmatch(directives)
				directives = fmt.Sprintf("%s %s\n@rest not %s\nmana_auth %s off\nmana_auth @rest %s", matcher[1], matcher[2], matcher[2], matcher[1], rest[1])
			}
			l := edgetest.StartLive(t, "", directives)
			ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
			values := map[string]string{"id": ada.User.ID, "email": "ada@mana.localhost", "name": "Ada", "role": "user"}
			headers := regexp.MustCompile(`header (\S+) \{http\.auth\.user\.(\w+)\}`).FindAllStringSubmatch(directives, -1)
			if len(headers) == 0 {
				t.Fatalf("no header in %s", directives)
			}
			var forged []string
			want := make(map[string][]string)
			for _, h := range headers {
				name := http.CanonicalHeaderKey(h[1])
				want[name] = []string{values[h[2]]}
				forged = append(forged, h[1]+": root", strings.ReplaceAll(h[1], "-", "_")+": root", strings.ToLower(h[1])+": root", "Connection: "+h[1])
			}
			told := func(path string, headers ...string) map[string][]string {
				t.Helper()
				resp := l.Do(t, l.Request(t, "GET", path, headers...))
				body, _ := io.ReadAll(resp.Body)
				var seen edgetest.Seen
				if err := json.Unmarshal(body, &seen); err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
				}
				got := make(map[string][]string)
				for name, sent := range seen.Header {
					if _, ours := want[http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))]; ours || slices.Contains(sent, "root") {
						got[name] = sent
					}
				}
				return got
			}
			for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
				if diff := cmp.Diff(want, told("/", append(forged, credential)...)); diff != "" {
					t.Error(diff)
				}
			}
			if path := unasked[app]; path != "" {
				for _, credential := range []string{"Accept: */*", "Cookie: " + ada.Cookie} {
					if got := told(path, append(forged, credential)...); len(got) > 0 {
						t.Errorf("%s: the app got %v", path, got)
					}
				}
			}
		})
	}
}

// The address of a client reaches the app in the words of the edge, or of a proxy
// that it trusts, and in nobody else's. A header of the site is stripped in front of
// every directive of it, whichever writes it.
func TestLiveForeignHeadersAreLeftOut(t *testing.T) {
	forged := []string{
		"Forwarded: for=198.51.100.7", "X-Real-IP: 198.51.100.7", "X_Real_IP: 198.51.100.7", "True-Client-IP: 198.51.100.7", "cf-connecting-ip: 198.51.100.7",
		"X_Forwarded_For: 198.51.100.7", "Remote-User: root", "remote_user: root", "X-Forwarded-For: 198.51.100.7",
	}
	for _, c := range []struct {
		name, options string
		trusted       bool
	}{{"anybody", "", false}, {"a trusted proxy", "servers {\n trusted_proxies static 127.0.0.1/8\n }", true}} {
		t.Run(c.name, func(t *testing.T) {
			l := edgetest.StartLive(t, c.options, "mana_rate_limit /limited 100/"+edgetest.FreshWindow()+"\n"+
				"@open path /open /limited\nmana_auth @open off\n@in path /in\nmana_auth @in {\n header Remote-User {http.auth.user.email}\n}\n@maybe path /maybe\nmana_auth @maybe optional")
			for _, path := range []string{"/open", "/limited", "/maybe", "/elsewhere"} {
				resp := l.Do(t, l.Request(t, "GET", path, forged...))
				var seen edgetest.Seen
				if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
				}
				for name, values := range seen.Header {
					said := strings.Contains(strings.Join(values, ","), "198.51.100.7")
					if slices.Contains(values, "root") || said && !c.trusted || name == "X-Forwarded-For" && said != c.trusted {
						t.Errorf("%s: %s %q", path, name, values)
					}
				}
				if c.trusted && seen.Header.Get("X-Real-Ip") == "" {
					t.Errorf("%s: the word of a trusted proxy is left out: %v", path, seen.Header)
				}
			}
		})
	}
}
