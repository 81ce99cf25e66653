package gate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/edgetest"
)

// pomerium#1279: a WebSocket, an event stream and any other open request end
// when the session does, on whatever edge that was revoked.
func TestLiveStreamsEndWithTheSession(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	bearer, cookie := "Authorization: Bearer "+ada.Tokens.AccessToken, "Cookie: "+ada.Cookie

	socket := l.OpenSocket(t, bearer)
	events := l.OpenEvents(t, bearer)
	// fetch() reads events too, and does not say so in Accept.
	fetched := l.Do(t, l.Request(t, "GET", "/events", bearer))
	lasting := l.Do(t, l.Request(t, "GET", "/lasting", bearer))
	time.Sleep(2100 * time.Millisecond)
	slow := l.Do(t, l.Request(t, "GET", "/slow", bearer))
	bystander := l.OpenSocket(t, cookie)
	if err := l.Auth.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{SessionID: ada.Tokens.SessionID}); err != nil {
		t.Fatal(err)
	}
	signedOut := time.Now()
	socket.WantEnd(t, "socket")
	events.WantEnd(t, "events")
	for name, resp := range map[string]*http.Response{"fetched events": fetched, "a lasting answer": lasting} {
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%s ended as if complete", name)
		}
		if took := time.Since(signedOut); took > 1500*time.Millisecond {
			t.Errorf("%s went on for %v", name, took)
		}
	}
	for range 4 {
		select {
		case <-l.Upstream.Left:
		case <-time.After(5 * time.Second):
			t.Fatal("the upstream was not told")
		}
	}
	if body, err := io.ReadAll(slow.Body); err != nil || string(body) != "done" {
		t.Errorf("a request about to finish got %q, %v", body, err)
	}
	if resp := l.Do(t, l.Request(t, "GET", "/", bearer)); resp.StatusCode != 401 {
		t.Errorf("after the sign-out: %d", resp.StatusCode)
	}

	bystander.WantAlive(t)
	byCookie := l.OpenEvents(t, cookie)
	if err := l.Auth.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{CookieTokens: []string{ada.Browser.Token}}); err != nil {
		t.Fatal(err)
	}
	bystander.WantEnd(t, "the cookie's socket")
	byCookie.WantEnd(t, "the cookie's events")
}

// An app that switches to HTTP/2 in clear, or to TLS, would take requests from
// the same connection that passed no gate, with any identity in them. It is
// not asked to.
func TestLiveOnlyWebSocketsAreUpgraded(t *testing.T) {
	l := edgetest.StartLive(t, "", "@get method GET\nmana_auth @get optional\n@rest not method GET\nmana_auth @rest")
	preflight := "Origin: https://evil.test\r\nAccess-Control-Request-Method: GET\r\n"
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET|Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n", 200},
		{"GET|Upgrade: H2C\r\n", 200},
		{"GET|Upgrade: TLS/1.0\r\n", 200},
		{"GET|Upgrade: h2c, websocket\r\n", 200},
		{"GET|Upgrade: websocket\r\nUpgrade: h2c\r\n", 200},
		{"OPTIONS|Upgrade: h2c\r\n" + preflight, 401},
		{"OPTIONS|Upgrade: websocket\r\n" + preflight, 401},
		{"GET|Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 101},
	} {
		method, headers, _ := strings.Cut(c.request, "|")
		conn, err := net.Dial("tcp", l.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s /switch HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n%s\r\n", method, l.Host, headers)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		conn.Close()
		if err != nil {
			t.Errorf("%q: %v", c.request, err)
		} else if resp.StatusCode != c.status {
			t.Errorf("%q: status %d, want %d", c.request, resp.StatusCode, c.status)
		}
	}
}

// The same promises as the unit tests, over the wire and past reverse_proxy:
// aliases, hop-by-hop removal and trailers cannot forge or drop an identity.
func TestLiveIdentityCannotBeForged(t *testing.T) {
	l := edgetest.StartLive(t, "", "@guest path /guest\nmana_auth @guest optional\n@rest not path /guest\nmana_auth @rest")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	forged := []string{
		"X-Mana-User-Id: 666", "x-mana-role: admin", "X_Mana_User_Id: 666", "X-MANA_EMAIL: root@mana.localhost",
		"Connection: X-Mana-User-Id, x_mana_role, Authorization", "X-Mana-Org-Id: 1",
	}
	send := func(path string, headers ...string) edgetest.Seen {
		t.Helper()
		r := l.Request(t, "POST", path, append(headers, forged...)...)
		r.Header["Origin"] = []string{"http://" + l.Host}
		r.Body = io.NopCloser(strings.NewReader("body"))
		r.ContentLength = -1
		r.Trailer = http.Header{"X-Mana-User-Id": {"666"}, "X_mana_role": {"admin"}, "X-Checksum": {"1"}}
		resp := l.Do(t, r)
		var got edgetest.Seen
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		for name := range got.Trailer {
			if looksLikeIdentity(name) {
				t.Errorf("%s: trailer %s", path, name)
			}
		}
		if got.Trailer.Get("X-Checksum") != "1" {
			t.Errorf("%s: trailers %v", path, got.Trailer)
		}
		return got
	}
	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: a=1; " + ada.Cookie} {
		got := send("/", credential)
		sealed := sealedOf(&http.Request{Header: got.Header})
		if sealed["X-Mana-User-Id"] != ada.User.ID || sealed["X-Mana-Role"] != "user" || sealed["X-Mana-Email"] != ada.User.Email || sealed["X-Mana-Email-Verified"] == "" || sealed["X-Mana-Auth-Time"] == "" || sealed["X-Mana-Amr"] != "pwd" || len(sealed) != 7 {
			t.Errorf("the upstream got %v", sealed)
		}
		token := strings.TrimPrefix(got.Header.Get("Authorization"), "Bearer ")
		if claims, err := l.Auth.Verify(context.Background(), token); err != nil || claims.Subject != ada.User.ID {
			t.Errorf("the upstream's bearer: %v", err)
		}
		if strings.Contains(got.Header.Get("Cookie"), "mana.") {
			t.Errorf("the upstream got the cookie %q", got.Header.Get("Cookie"))
		}
	}
	got := send("/guest", "Authorization: Bearer forged")
	if sealed := sealedOf(&http.Request{Header: got.Header}); len(sealed) > 0 || got.Header.Get("Authorization") != "" {
		t.Errorf("the upstream got a guest as %v, %q", sealed, got.Header.Get("Authorization"))
	}
}

// No directive that answers can be reached around the gate.
func TestLiveNothingAnswersBeforeTheGate(t *testing.T) {
	l := edgetest.StartLive(t, "", "respond /secret \"secret\"\nhandle /handled {\n\trespond \"secret\"\n}\nmana_auth")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	for _, path := range []string{"/secret", "/handled", "/x"} {
		resp := l.Do(t, l.Request(t, "GET", path))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 401 || string(body) == "secret" || resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
		if resp := l.Do(t, l.Request(t, "GET", path, "Cookie: "+ada.Cookie)); resp.StatusCode != 200 {
			t.Errorf("%s, signed in: %d", path, resp.StatusCode)
		}
	}
	resp := l.Do(t, l.Request(t, "GET", "/x?a=b", "Sec-Fetch-Mode: navigate", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"))
	if got := resp.Header.Get("Location"); resp.StatusCode != 302 || !strings.Contains(got, "returnUrl=http%3A%2F%2Fchat.mana.localhost") || !strings.HasSuffix(got, "%2Fx%3Fa%3Db") {
		t.Errorf("%d to %q", resp.StatusCode, got)
	}
}

// caddy-security#266, #270, #100, #431: forwarded headers count from proxies
// the server trusts, and counters outlive a reload.
func TestLiveRateLimit(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_rate_limit 2/"+edgetest.FreshWindow())
	for i, want := range []int{200, 200, 429} {
		if resp := l.Do(t, l.Request(t, "GET", "/", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))); resp.StatusCode != want {
			t.Errorf("request %d: %d, want %d", i, resp.StatusCode, want)
		}
	}
	l.Load(t)
	if resp := l.Do(t, l.Request(t, "GET", "/")); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after a reload: %d", resp.StatusCode)
	}
}

func TestLiveRateLimitBehindATrustedProxy(t *testing.T) {
	l := edgetest.StartLive(t, "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}", "mana_rate_limit 1/"+edgetest.FreshWindow())
	for _, step := range []struct {
		client string
		want   int
	}{{"198.51.100.1", 200}, {"198.51.100.1", 429}, {"198.51.100.2", 200}} {
		if resp := l.Do(t, l.Request(t, "GET", "/", "X-Forwarded-For: "+step.client)); resp.StatusCode != step.want {
			t.Errorf("%s: %d, want %d", step.client, resp.StatusCode, step.want)
		}
	}
}

// A config at fault is refused, and the one that serves goes on.
func TestLiveFaultyConfigIsRefused(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth")
	faulty := strings.Replace(string(l.Config), `"handler":"mana_auth"`, `"handler":"mana_auth","roles":["boss"],"login":"maybe"`, 1)
	edgetest.WantFaults(t, caddy.Load([]byte(faulty), true), "mana_auth: role: ", `"boss"`, "mana_auth: login: ", `"maybe"`)
	if resp := l.Do(t, l.Request(t, "GET", "/")); resp.StatusCode != 401 {
		t.Errorf("the config that was serving answers %d", resp.StatusCode)
	}
}

// What the gate does is counted for the site, by the host that its config writes.
func TestLiveDecisionsAreCountedBySite(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	host, _, _ := strings.Cut(l.Host, ":")
	count := func(outcome string) (n float64) {
		t.Helper()
		var text strings.Builder
		if err := edgetest.WriteMetrics(&text); err != nil {
			t.Fatal(err)
		}
		series := fmt.Sprintf(`mana_gate_decisions_total{outcome=%q,site=%q} `, outcome, host)
		_, rest, ok := strings.Cut(text.String(), series)
		if !ok {
			t.Fatalf("no series %s", series)
		}
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	bearer, refused := count("bearer"), count("401")
	for range 3 {
		_ = l.Do(t, l.Request(t, "GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken)).Body.Close()
	}
	_ = l.Do(t, l.Request(t, "GET", "/", "Accept: application/json")).Body.Close()
	if got := count("bearer") - bearer; got != 3 {
		t.Errorf("%g passed by a token, want 3", got)
	}
	if got := count("401") - refused; got != 1 {
		t.Errorf("%g were refused, want 1", got)
	}
}
