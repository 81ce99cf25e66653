package caddymodule_test

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"strings"
	"testing"

	"mana.how/edge/creditcore"
)

// Directives that lead to an app that is dead, hangs, or is known to be down.
const (
	deadApp    = "reverse_proxy 127.0.0.1:1"
	hangingApp = "reverse_proxy $HANGING {\n transport http {\n response_header_timeout 200ms\n }\n }"
	downApp    = "reverse_proxy 127.0.0.1:1 {\n fail_duration 1h\n }"
)

// hangingUpstream takes requests and answers none.
func hangingUpstream(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

// An app that gives no answer is answered for: in the words of the contract,
// readable for pages of trusted origins, as a page where a page was asked for.
func TestAnAppWithoutAnAnswerIsAnsweredFor(t *testing.T) {
	hanging := strings.ReplaceAll(hangingApp, "$HANGING", hangingUpstream(t))
	sites := map[string]string{"auth": "mana_api"}
	for name, app := range map[string]string{"dead": deadApp, "hanging": hanging, "down": downApp} {
		maps.Copy(sites, map[string]string{
			name + "-gated":   "mana_auth\n" + app,
			name + "-guest":   "mana_auth optional\n" + app,
			name + "-metered": "mana_auth\nmana_credits 1\n" + app,
			name + "-limited": "mana_rate_limit 100000/1h\n" + app,
			name + "-all":     "mana_rate_limit 100000/1h\nmana_auth\nmana_credits 1\nhandle {\n" + app + "\n}",
		})
	}
	w := startWire(t, "", sites)
	ada := newPerson(t, w.auth, "ada@mana.localhost", "user")
	ledger := liveRuntime(t).Credits
	grantTo(t, ledger, ada.user.ID, 100*creditcore.Credit)
	origin := "https://app.mana.localhost:" + w.port

	for app, want := range map[string]struct {
		status     int
		code, wait string
	}{"dead": {502, "BAD_GATEWAY", "5"}, "hanging": {504, "GATEWAY_TIMEOUT", ""}, "down": {503, "UNAVAILABLE", "5"}} {
		for _, protocol := range protocols {
			for _, kind := range []string{"gated", "guest", "metered", "limited", "all"} {
				name := protocol.name + " " + app + "-" + kind
				ask := func(fields ...field) rawAnswer {
					fields = append(fields, field{"authorization", "Bearer " + ada.tokens.AccessToken})
					got := protocol.send(t, w, newRawRequest(w, "GET", app+"-"+kind, "/secret?token=abc", fields...))
					if app == "down" && got.status == 502 {
						// It is down once it has been asked.
						got = protocol.send(t, w, newRawRequest(w, "GET", app+"-"+kind, "/secret?token=abc", fields...))
					}
					return got
				}
				got := ask(field{"origin", origin})
				var body struct {
					StatusCode                 int
					Message, Error, Code, Path string
				}
				if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != want.status || body.StatusCode != want.status ||
					body.Code != want.code || body.Error != want.code || body.Message == "" || body.Path != "/secret" {
					t.Errorf("%s: %d %s", name, got.status, got.body)
				}
				if got.header["access-control-allow-origin"] != origin || got.header["access-control-allow-credentials"] != "true" ||
					!strings.Contains(got.header["access-control-expose-headers"], "Retry-After") ||
					got.header["retry-after"] != want.wait || got.header["cache-control"] != "no-store" {
					t.Errorf("%s: %v", name, got.header)
				}
				metered, limited := kind == "metered" || kind == "all", kind == "limited" || kind == "all"
				if metered && (got.header["mana-credits-cost"] != "0" || got.header["mana-credits-remaining"] != "100") {
					t.Errorf("%s: the bill is %v", name, got.header)
				}
				if limited && got.header["x-ratelimit-limit"] != "100000" {
					t.Errorf("%s: the limit is %v", name, got.header)
				}
				if got := ask(field{"origin", "https://evil.example"}); got.status != want.status || got.header["access-control-allow-origin"] != "" {
					t.Errorf("%s, another origin: %d %v", name, got.status, got.header)
				}
				got = ask(field{"sec-fetch-mode", "navigate"}, field{"accept", "text/html"}, field{"accept-language", "de"})
				if got.status != want.status || !strings.HasPrefix(got.header["content-type"], "text/html") || !strings.Contains(got.body, `lang="de"`) ||
					got.header["retry-after"] != want.wait || !strings.Contains(got.body, `href="https://auth.mana.localhost:`+w.port+`"`) {
					t.Errorf("%s, a page: %d %v %s", name, got.status, got.header, got.body)
				}
			}
		}
	}
	wantAvailable(t, ledger, ada.user.ID, 100*creditcore.Credit)
	wantSound(t, ledger)
}

// What the admin has routes for is theirs, and only that.
func TestTheAdminsErrorRoutesWin(t *testing.T) {
	w := startWire(t, "", map[string]string{
		"auth":  "mana_api",
		"all":   "mana_auth optional\nhandle_errors {\n respond \"mine {err.status_code}\"\n }\n" + deadApp,
		"some":  "mana_auth optional\nhandle_errors 404 504 {\n respond \"mine\"\n }\n" + deadApp,
		"path":  "mana_auth optional\nhandle_errors {\n respond /mine mine\n }\nhandle_path /strip* {\n" + deadApp + "\n }\n" + deadApp,
		"outer": "mana_rate_limit 1000/1h\nmana_auth optional\nhandle_errors 502 {\n respond mine\n }\n" + deadApp,
	})
	for _, c := range []struct {
		site, path, want string
	}{
		{"all", "/", "mine 502"},
		{"some", "/", "BAD_GATEWAY"},
		{"path", "/mine", "mine"},
		{"path", "/strip/mine", "BAD_GATEWAY"},
		{"path", "/other", "BAD_GATEWAY"},
		{"outer", "/", "mine"},
	} {
		got := sendHTTP1(t, w, newRawRequest(w, "GET", c.site, c.path))
		ours := strings.Contains(got.body, `"code":"BAD_GATEWAY"`)
		if wantOurs := c.want == "BAD_GATEWAY"; ours != wantOurs || !ours && got.body != c.want {
			t.Errorf("%s%s: %d %s", c.site, c.path, got.status, got.body)
		}
	}
}

// Pages of a trusted origin read what the edge adds, whoever asks.
func TestWhatTheEdgeAddsIsExposed(t *testing.T) {
	w := startWire(t, "", sitesOfWire)
	origin := "https://app.mana.localhost:" + w.port
	for _, site := range []string{"guest", "limited"} {
		got := sendHTTP1(t, w, newRawRequest(w, "GET", site, "/", field{"origin", origin}))
		for _, name := range []string{
			"Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
			"Mana-Credits-Cost", "Mana-Credits-Remaining", "Idempotency-Replayed",
		} {
			if !strings.Contains(got.header["access-control-expose-headers"], name) {
				t.Errorf("%s: %s is not in %v", site, name, got.header)
			}
		}
		got = sendHTTP1(t, w, newRawRequest(w, "GET", site, "/", field{"origin", "https://evil.example"}))
		if got.status != 200 || got.header["access-control-expose-headers"] != "" {
			t.Errorf("%s, another origin: %d %v", site, got.status, got.header)
		}
	}
}
