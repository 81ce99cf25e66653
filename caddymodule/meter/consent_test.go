package meter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// byCookie marks the request as the gate marks one under the sign-on cookie.
func byCookie(user string, r *http.Request) *http.Request {
	return r.WithContext(&request.Auth{
		Context: r.Context(), Principal: request.Principal{Kind: request.User, UserID: user}, ByCookie: true,
	})
}

// A browser asks in advance for what the user may never open.
func TestMeterPrefetch(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 50_000)
	paid := p.meter(&meter.Meter{Credits: "5"})
	shadow := p.meter(&meter.Meter{Credits: "5", Shadow: true})
	for _, header := range []string{
		"Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Sec-Purpose: prefetch;anonymous-client-ip",
		"Purpose: prefetch", "X-Moz: prefetch", "X-Purpose: preview", "Purpose: Prefetch",
	} {
		for _, mark := range []func(string, *http.Request) *http.Request{by, byCookie} {
			x := edgetest.Send(t, paid, mark(ada, edgetest.Ask("GET", "/x", header, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate")), edgetest.Answers(200))
			if x.Code != 503 || x.Reached != 0 || !strings.Contains(x.Body.String(), `"code":"PREFETCH_REFUSED"`) {
				t.Errorf("%s: %d, reached %d: %s", header, x.Code, x.Reached, x.Body)
			}
			if x := edgetest.Send(t, shadow, mark(ada, edgetest.Ask("GET", "/x", header)), edgetest.Answers(200)); x.Code != 200 || x.Reached != 1 {
				t.Errorf("%s past a shadow: %d", header, x.Code)
			}
		}
	}
	p.wantAvailable(ada, 50_000)
	if x := edgetest.Send(t, paid, byCookie(ada, edgetest.Ask("GET", "/x", "Sec-Purpose: something", "Sec-Fetch-Site: same-origin")), edgetest.Answers(200)); x.Code != 200 {
		t.Errorf("another purpose: %d", x.Code)
	}
	p.wantAvailable(ada, 45_000)
}

// What another site makes a browser send is not charged; what the user does is.
func TestMeterConsent(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 500_000)
	m := p.meter(&meter.Meter{Credits: "5"})
	left := creditcore.Amount(500_000)
	const served, page, refused = 200, 403, -403
	for _, c := range []struct {
		name    string
		method  string
		headers []string
		want    int
	}{
		{"a click on the same site", "GET", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"}, served},
		{"a typed address", "GET", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, served},
		{"fetch of a trusted origin", "GET", []string{"Origin: https://todo.example.test", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, served},
		{"a link of a trusted sibling", "GET", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Referer: https://todo.example.test/"}, served},
		{"an old browser's click", "GET", []string{"Referer: " + edgetest.GateApp + "/list", "Accept: text/html"}, served},
		{"a form", "POST", []string{"Origin: " + edgetest.GateApp, "Sec-Fetch-Mode: navigate"}, served},
		{"a link of another site", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Referer: https://evil.test/"}, page},
		{"a link without a referer", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, page},
		{"a link of an unknown sibling", "GET", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate"}, page},
		{"a referer that only begins like ours", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Referer: " + edgetest.GateApp + ".evil.test/"}, page},
		{"a referer with a user", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Referer: https://chat.example.test@evil.test/"}, page},
		{"an old browser's link from nowhere", "GET", []string{"Accept: text/html"}, page},
		{"a sandboxed page", "GET", []string{"Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Referer: " + edgetest.GateApp + "/"}, page},
		{"an image", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Accept: image/*"}, refused},
		{"an old browser's image", "GET", []string{"Accept: image/*"}, refused},
		{"fetch of another site", "GET", []string{"Origin: https://evil.test", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, refused},
		{"two origins", "GET", []string{"Origin: " + edgetest.GateApp, "Origin: https://evil.test", "Sec-Fetch-Mode: cors"}, refused},
		{"a script that says so", "GET", []string{"Sec-Fetch-Site: cross-site", "X-Requested-With: XMLHttpRequest", "Accept: text/html"}, refused},
		{"HEAD", "HEAD", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, refused},
		{"a foreign form", "POST", []string{"Origin: https://evil.test", "Sec-Fetch-Mode: navigate"}, refused},
		{"a program's socket", "GET", []string{"Upgrade: websocket", "Connection: Upgrade"}, served},
		{"a foreign socket", "GET", []string{"Upgrade: websocket", "Connection: Upgrade", "Origin: https://evil.test"}, refused},
	} {
		x := edgetest.Send(t, m, byCookie(ada, edgetest.Ask(c.method, "/make?x=1&y=%22%3E", c.headers...)), edgetest.Answers(200))
		html := strings.HasPrefix(x.Header().Get("Content-Type"), "text/html")
		switch c.want {
		case served:
			left -= 5000
			if x.Code != 200 || x.Reached != 1 {
				t.Errorf("%s: %d, reached %d: %s", c.name, x.Code, x.Reached, x.Body)
			}
		case page:
			if x.Code != 403 || x.Reached != 0 || !html || !strings.Contains(x.Body.String(), "5 credits") {
				t.Errorf("%s: %d, reached %d: %s", c.name, x.Code, x.Reached, x.Body)
			}
		default:
			if x.Code != 403 || x.Reached != 0 || html {
				t.Errorf("%s: %d, reached %d: %s", c.name, x.Code, x.Reached, x.Body)
			}
		}
		if x := edgetest.Send(t, m, by(ada, edgetest.Ask(c.method, "/make", c.headers...)), edgetest.Answers(200)); x.Code != 200 {
			t.Errorf("%s with a bearer token: %d", c.name, x.Code)
		}
		left -= 5000
		p.wantAvailable(ada, left)
	}
}

// The page names the price, speaks the user's language, and its button leads to
// nothing but the same request.
func TestMeterPricePage(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 50_000)
	foreign := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Accept-Language: de"}
	m := p.meter(&meter.Meter{Credits: "2.5", CostFrom: "X-Cost"})
	x := edgetest.Send(t, m, byCookie(ada, edgetest.Ask("GET", "//evil.test/x?a=1&b=%22", foreign...)), edgetest.Answers(200))
	for _, want := range []string{"höchstens", "2,5 Credits", `lang="de"`, `href="` + edgetest.GateApp + `//evil.test/x?a=1&amp;b=%22"`} {
		if !strings.Contains(x.Body.String(), want) {
			t.Errorf("no %q in %s", want, x.Body)
		}
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := x.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	csp := x.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	shadow := p.meter(&meter.Meter{Credits: "5", Shadow: true})
	if x := edgetest.Send(t, shadow, byCookie(ada, edgetest.Ask("GET", "/", foreign...)), edgetest.Answers(200)); x.Code != 200 || x.Reached != 1 {
		t.Errorf("past a shadow: %d", x.Code)
	}
	p.wantAvailable(ada, 50_000)
}

// The gate's own token upstream does not make a cookie a token, also not at a
// second gate.
func TestMeterConsentBehindGates(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db)
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	p := &purse{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db}
	edgetest.GrantTo(t, p.Service, ada.User.ID, 10_000)
	m := p.meter(&meter.Meter{Credits: "5"})
	metered := func(w http.ResponseWriter, r *http.Request) error { return m.ServeHTTP(w, r, edgetest.Answers(200)) }
	twice := func(w http.ResponseWriter, r *http.Request) error {
		return edgetest.Gate(s, &gate.Gate{}).ServeHTTP(w, r, caddyhttp.HandlerFunc(metered))
	}
	for name, upstream := range map[string]caddyhttp.HandlerFunc{"one gate": metered, "two gates": twice} {
		x := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/x", "Cookie: "+ada.Cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), upstream)
		if x.Code != 403 || !strings.Contains(x.Body.String(), "5 credits") {
			t.Errorf("%s: %d %s", name, x.Code, x.Body)
		}
	}
	p.wantAvailable(ada.User.ID, 10_000)
	if x := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/x", "Cookie: "+ada.Cookie, "Sec-Fetch-Site: same-origin"), twice); x.Code != 200 {
		t.Errorf("the user's own click: %d %s", x.Code, x.Body)
	}
	p.wantAvailable(ada.User.ID, 5000)
}
