package site_test

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"strings"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
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
	w := edgetest.StartWire(t, "", sites)
	ada := edgetest.NewPerson(t, w.Auth, "ada@mana.localhost", "user")
	ledger := edgetest.LiveRuntime(t).Credits
	edgetest.GrantTo(t, ledger, ada.User.ID, 100*creditcore.Credit)
	origin := "https://app.mana.localhost:" + w.Port

	for app, want := range map[string]struct {
		status     int
		code, wait string
	}{"dead": {502, "BAD_GATEWAY", "5"}, "hanging": {504, "GATEWAY_TIMEOUT", ""}, "down": {503, "UNAVAILABLE", "5"}} {
		for _, protocol := range edgetest.Protocols {
			for _, kind := range []string{"gated", "guest", "metered", "limited", "all"} {
				name := protocol.Name + " " + app + "-" + kind
				ask := func(fields ...edgetest.Field) edgetest.RawAnswer {
					fields = append(fields, edgetest.Field{"authorization", "Bearer " + ada.Tokens.AccessToken})
					got := protocol.Send(t, w, edgetest.NewRawRequest(w, "GET", app+"-"+kind, "/secret?token=abc", fields...))
					if app == "down" && got.Status == 502 {
						// It is down once it has been asked.
						got = protocol.Send(t, w, edgetest.NewRawRequest(w, "GET", app+"-"+kind, "/secret?token=abc", fields...))
					}
					return got
				}
				got := ask(edgetest.Field{"origin", origin})
				var body struct {
					StatusCode                 int
					Message, Error, Code, Path string
				}
				if err := json.Unmarshal([]byte(got.Body), &body); err != nil || got.Status != want.status || body.StatusCode != want.status ||
					body.Code != want.code || body.Error != want.code || body.Message == "" || body.Path != "/secret" {
					t.Errorf("%s: %d %s", name, got.Status, got.Body)
				}
				if got.Header["access-control-allow-origin"] != origin || got.Header["access-control-allow-credentials"] != "true" ||
					!strings.Contains(got.Header["access-control-expose-headers"], "Retry-After") ||
					got.Header["retry-after"] != want.wait || got.Header["cache-control"] != "no-store" {
					t.Errorf("%s: %v", name, got.Header)
				}
				metered, limited := kind == "metered" || kind == "all", kind == "limited" || kind == "all"
				if metered && (got.Header["mana-credits-cost"] != "0" || got.Header["mana-credits-remaining"] != "100") {
					t.Errorf("%s: the bill is %v", name, got.Header)
				}
				if limited && got.Header["x-ratelimit-limit"] != "100000" {
					t.Errorf("%s: the limit is %v", name, got.Header)
				}
				if got := ask(edgetest.Field{"origin", "https://evil.example"}); got.Status != want.status || got.Header["access-control-allow-origin"] != "" {
					t.Errorf("%s, another origin: %d %v", name, got.Status, got.Header)
				}
				got = ask(edgetest.Field{"sec-fetch-mode", "navigate"}, edgetest.Field{"accept", "text/html"}, edgetest.Field{"accept-language", "de"})
				if got.Status != want.status || !strings.HasPrefix(got.Header["content-type"], "text/html") || !strings.Contains(got.Body, `lang="de"`) ||
					got.Header["retry-after"] != want.wait || !strings.Contains(got.Body, `href="https://auth.mana.localhost:`+w.Port+`"`) {
					t.Errorf("%s, a page: %d %v %s", name, got.Status, got.Header, got.Body)
				}
			}
		}
	}
	edgetest.WantAvailable(t, ledger, ada.User.ID, 100*creditcore.Credit)
	edgetest.WantSound(t, ledger)
}

// What the admin has routes for is theirs, and only that.
func TestTheAdminsErrorRoutesWin(t *testing.T) {
	w := edgetest.StartWire(t, "", map[string]string{
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
		got := edgetest.SendHTTP1(t, w, edgetest.NewRawRequest(w, "GET", c.site, c.path))
		ours := strings.Contains(got.Body, `"code":"BAD_GATEWAY"`)
		if wantOurs := c.want == "BAD_GATEWAY"; ours != wantOurs || !ours && got.Body != c.want {
			t.Errorf("%s%s: %d %s", c.site, c.path, got.Status, got.Body)
		}
	}
}

// Pages of a trusted origin read what the edge adds, whoever asks.
func TestWhatTheEdgeAddsIsExposed(t *testing.T) {
	w := edgetest.StartWire(t, "", sitesOfWire)
	origin := "https://app.mana.localhost:" + w.Port
	for _, site := range []string{"guest", "limited"} {
		got := edgetest.SendHTTP1(t, w, edgetest.NewRawRequest(w, "GET", site, "/", edgetest.Field{"origin", origin}))
		for _, name := range []string{
			"Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
			"Mana-Credits-Cost", "Mana-Credits-Remaining", "Idempotency-Replayed",
		} {
			if !strings.Contains(got.Header["access-control-expose-headers"], name) {
				t.Errorf("%s: %s is not in %v", site, name, got.Header)
			}
		}
		got = edgetest.SendHTTP1(t, w, edgetest.NewRawRequest(w, "GET", site, "/", edgetest.Field{"origin", "https://evil.example"}))
		if got.Status != 200 || got.Header["access-control-expose-headers"] != "" {
			t.Errorf("%s, another origin: %d %v", site, got.Status, got.Header)
		}
	}
}
