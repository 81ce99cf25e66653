package gate_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// A page load that is refused gets a page, in the user's language and of the
// brand, which needs nothing from anywhere.
func TestGateExplainsToPeople(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	logo, err := pages.NewLogo([]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`))
	if err != nil {
		t.Fatal(err)
	}
	branded := func(g *gate.Gate) *gate.Gate {
		g.Brand = pages.Brand{Name: "Teahouse", Logo: logo, Imprint: "https://example.test/imprint"}
		return g
	}
	admins := edgetest.Gate(s, branded(&gate.Gate{Roles: []string{"admin"}}))
	open := edgetest.Gate(s, branded(&gate.Gate{}))
	away := edgetest.BindGate(branded(&gate.Gate{}), edgetest.GateBase, func(context.Context) (*authcore.Service, error) { return nil, errors.New("away") })
	for name, c := range map[string]struct {
		gate    *gate.Gate
		method  string
		headers []string
		status  int
		de, en  string
		wait    string
	}{
		"a role":       {admins, "GET", nil, 403, "darf diese Seite nicht öffnen", "may not open this page", ""},
		"another site": {open, "POST", []string{"Origin: https://evil.test"}, 403, "kam von einer fremden Seite", "came from another site", ""},
		"no database":  {away, "GET", nil, 503, "gerade nicht erreichbar", "not available right now", "5"},
	} {
		for language, want := range map[string]string{"de": c.de, "en": c.en} {
			headers := append([]string{"Cookie: " + ada.Cookie, "Sec-Fetch-Mode: navigate", "Accept-Language: " + language}, c.headers...)
			w, up := edgetest.Serve(t, c.gate, edgetest.Ask(c.method, "/x?<script>", headers...))
			page := w.Body.String()
			if up != nil || w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Retry-After") != c.wait {
				t.Errorf("%s, %s: %d %v", name, language, w.Code, w.Header())
			}
			for _, part := range []string{want, `lang="` + language + `"`, "Teahouse", `src="data:image/svg`, "https://example.test/imprint", `href="` + edgetest.GateBase + `"`} {
				if !strings.Contains(page, part) {
					t.Errorf("%s, %s: no %q in %s", name, language, part, page)
				}
			}
			if strings.Contains(page, "<script") || strings.Contains(page, "src=\"/") || len(page) > 60_000 ||
				!strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none';") {
				t.Errorf("%s, %s: %v %s", name, language, w.Header(), page)
			}
			if c.wait != "" && !strings.Contains(page, "5 "+map[string]string{"de": "Sekunden", "en": "seconds"}[language]) {
				t.Errorf("%s, %s: does not say when again: %s", name, language, page)
			}
		}
		w, up := edgetest.Serve(t, c.gate, edgetest.Ask(c.method, "/x", append([]string{"Cookie: " + ada.Cookie, "Sec-Fetch-Mode: cors"}, c.headers...)...))
		if up != nil || w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s, a script: %d %v", name, w.Code, w.Header())
		}
	}
	// Who may pass sees the app.
	if w, _ := edgetest.Serve(t, open, edgetest.Ask(http.MethodGet, "/", "Cookie: "+ada.Cookie, "Sec-Fetch-Mode: navigate")); w.Code != 200 {
		t.Errorf("who may pass: %d", w.Code)
	}
}
