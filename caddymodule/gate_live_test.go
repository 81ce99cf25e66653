package caddymodule_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/pgtest"
)

// live is a Caddy with one gated site before an upstream, and a second edge on
// the same database, through which the tests sign users in and out.
type live struct {
	addr     string // of the site
	host     string
	upstream *upstream
	auth     *authcore.Service
	config   []byte
}

// startLive runs Caddy, so such a test cannot run beside another of its kind.
// The site's directives stand before reverse_proxy.
func startLive(t *testing.T, options, directives string) *live {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	base := "http://auth.mana.localhost:" + port

	db := pgtest.New(t)
	l := &live{addr: addr, host: "chat.mana.localhost:" + port, upstream: newUpstream(t)}
	l.auth = gateService(t, db, func(c *authcore.Config) {
		c.BaseURL, c.CookieDomain, c.TrustedOrigins = base, ".mana.localhost", []string{"http://*.mana.localhost:" + port}
	})
	l.config, err = adapt(t, fmt.Sprintf(`{
	admin off
	persist_config off
	default_bind 127.0.0.1
	grace_period 1s
	mana {
		database %q
		base_url %s
		cookie_domain .mana.localhost
		trusted_origins http://*.mana.localhost:%s
		encryption_key %s
	}
	%s
}
http://chat.mana.localhost:%[3]s {
	%[6]s
	reverse_proxy %[7]s
}`, db.DSN, base, port, gateSecret, options, directives, l.upstream.addr))
	if err != nil {
		t.Fatal(err)
	}
	l.load(t)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *live) load(t *testing.T) {
	t.Helper()
	if err := caddy.Load(l.config, true); err != nil {
		t.Fatal(err)
	}
}

// request is one to the site. Header names are sent as they are spelt here.
func (l *live) request(t *testing.T, method, path string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = l.host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

func (l *live) do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	// While Caddy reloads, the listener that goes may accept a connection and
	// reset it before a request is read; browsers try again, too.
	for range 5 {
		if err == nil || r.Body != nil || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			break
		}
		resp, err = client.Do(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// upstream is an app behind the gate.
type upstream struct {
	addr string
	left chan string // names the stream whose client has left
}

// seen is what the upstream got.
type seen struct {
	Header, Trailer http.Header
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{left: make(chan string, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(seen{r.Header, r.Trailer})
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(500 * time.Millisecond)
		_, _ = io.WriteString(w, "done")
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		u.left <- "events"
	})
	mux.HandleFunc("/lasting", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a line\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		u.left <- "lasting"
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
		_, _ = io.Copy(conn, rw)
		u.left <- "socket"
	})
	mux.HandleFunc("/switch", func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Upgrade"] == nil {
			return
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header["Upgrade"][0])
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	u.addr = strings.TrimPrefix(server.URL, "http://")
	return u
}

// pomerium#1279: a WebSocket, an event stream and any other open request end
// when the session does, on whatever edge that was revoked.
func TestLiveStreamsEndWithTheSession(t *testing.T) {
	l := startLive(t, "", "mana_auth")
	ada := newPerson(t, l.auth, "ada@mana.localhost", "user")
	bearer, cookie := "Authorization: Bearer "+ada.tokens.AccessToken, "Cookie: "+ada.cookie

	socket := l.openSocket(t, bearer)
	events := l.openEvents(t, bearer)
	// fetch() reads events too, and does not say so in Accept.
	fetched := l.do(t, l.request(t, "GET", "/events", bearer))
	lasting := l.do(t, l.request(t, "GET", "/lasting", bearer))
	time.Sleep(2100 * time.Millisecond)
	slow := l.do(t, l.request(t, "GET", "/slow", bearer))
	bystander := l.openSocket(t, cookie)
	if err := l.auth.SignOut(t.Context(), gateClient, authcore.SignOut{SessionID: ada.tokens.SessionID}); err != nil {
		t.Fatal(err)
	}
	signedOut := time.Now()
	socket.wantEnd(t, "socket")
	events.wantEnd(t, "events")
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
		case <-l.upstream.left:
		case <-time.After(5 * time.Second):
			t.Fatal("the upstream was not told")
		}
	}
	if body, err := io.ReadAll(slow.Body); err != nil || string(body) != "done" {
		t.Errorf("a request about to finish got %q, %v", body, err)
	}
	if resp := l.do(t, l.request(t, "GET", "/", bearer)); resp.StatusCode != 401 {
		t.Errorf("after the sign-out: %d", resp.StatusCode)
	}

	bystander.wantAlive(t)
	byCookie := l.openEvents(t, cookie)
	if err := l.auth.SignOut(t.Context(), gateClient, authcore.SignOut{CookieTokens: []string{ada.browser.Token}}); err != nil {
		t.Fatal(err)
	}
	bystander.wantEnd(t, "the cookie's socket")
	byCookie.wantEnd(t, "the cookie's events")
}

// An app that switches to HTTP/2 in clear, or to TLS, would take requests from
// the same connection that passed no gate, with any identity in them. It is
// not asked to.
func TestLiveOnlyWebSocketsAreUpgraded(t *testing.T) {
	l := startLive(t, "", "@get method GET\nmana_auth @get optional\n@rest not method GET\nmana_auth @rest")
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
		conn, err := net.Dial("tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s /switch HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n%s\r\n", method, l.host, headers)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		conn.Close()
		if err != nil {
			t.Errorf("%q: %v", c.request, err)
		} else if resp.StatusCode != c.status {
			t.Errorf("%q: status %d, want %d", c.request, resp.StatusCode, c.status)
		}
	}
}

// stream is an open connection of which one line has been read.
type stream struct {
	reader *bufio.Reader
	write  func(string) error
}

func (l *live) openSocket(t *testing.T, credential string) stream {
	t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n\r\n", l.host, credential)
	s := stream{reader: bufio.NewReader(conn), write: func(line string) error {
		_, err := io.WriteString(conn, line)
		return err
	}}
	for line := ""; line != "hello\n"; {
		if line, err = s.reader.ReadString('\n'); err != nil {
			t.Fatalf("open a socket: %v", err)
		}
		if strings.HasPrefix(line, "HTTP/1.1 ") && !strings.Contains(line, "101") {
			t.Fatalf("open a socket: %s", line)
		}
	}
	return s
}

func (l *live) openEvents(t *testing.T, credential string) stream {
	t.Helper()
	resp := l.do(t, l.request(t, "GET", "/events", credential, "Accept: text/event-stream"))
	s := stream{reader: bufio.NewReader(resp.Body)}
	if line, err := s.reader.ReadString('\n'); err != nil || line != "data: hello\n" {
		t.Fatalf("open events: %d %q, %v", resp.StatusCode, line, err)
	}
	_, _ = s.reader.ReadString('\n')
	return s
}

func (s stream) wantAlive(t *testing.T) {
	t.Helper()
	if err := s.write("ping\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := s.reader.ReadString('\n'); err != nil || line != "ping\n" {
		t.Fatalf("the stream of another session got %q, %v", line, err)
	}
}

func (s stream) wantEnd(t *testing.T, name string) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.reader)
		ended <- err
	}()
	select {
	case err := <-ended:
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s lived on", name)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s lived on", name)
	}
}

// The same promises as the unit tests, over the wire and past reverse_proxy:
// aliases, hop-by-hop removal and trailers cannot forge or drop an identity.
func TestLiveIdentityCannotBeForged(t *testing.T) {
	l := startLive(t, "", "@guest path /guest\nmana_auth @guest optional\n@rest not path /guest\nmana_auth @rest")
	ada := newPerson(t, l.auth, "ada@mana.localhost", "user")
	forged := []string{
		"X-Mana-User-Id: 666", "x-mana-role: admin", "X_Mana_User_Id: 666", "X-MANA_EMAIL: root@mana.localhost",
		"Connection: X-Mana-User-Id, x_mana_role, Authorization", "X-Mana-Org-Id: 1",
	}
	send := func(path string, headers ...string) seen {
		t.Helper()
		r := l.request(t, "POST", path, append(headers, forged...)...)
		r.Header["Origin"] = []string{"http://" + l.host}
		r.Body = io.NopCloser(strings.NewReader("body"))
		r.ContentLength = -1
		r.Trailer = http.Header{"X-Mana-User-Id": {"666"}, "X_mana_role": {"admin"}, "X-Checksum": {"1"}}
		resp := l.do(t, r)
		var got seen
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
	for _, credential := range []string{"Authorization: Bearer " + ada.tokens.AccessToken, "Cookie: a=1; " + ada.cookie} {
		got := send("/", credential)
		sealed := sealedOf(&http.Request{Header: got.Header})
		if sealed["X-Mana-User-Id"] != ada.user.ID || sealed["X-Mana-Role"] != "user" || sealed["X-Mana-Email"] != ada.user.Email || sealed["X-Mana-Email-Verified"] == "" || len(sealed) != 5 {
			t.Errorf("the upstream got %v", sealed)
		}
		token := strings.TrimPrefix(got.Header.Get("Authorization"), "Bearer ")
		if claims, err := l.auth.Verify(context.Background(), token); err != nil || claims.Subject != ada.user.ID {
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
	l := startLive(t, "", "respond /secret \"secret\"\nhandle /handled {\n\trespond \"secret\"\n}\nmana_auth")
	ada := newPerson(t, l.auth, "ada@mana.localhost", "user")
	for _, path := range []string{"/secret", "/handled", "/x"} {
		resp := l.do(t, l.request(t, "GET", path))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 401 || string(body) == "secret" || resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
		if resp := l.do(t, l.request(t, "GET", path, "Cookie: "+ada.cookie)); resp.StatusCode != 200 {
			t.Errorf("%s, signed in: %d", path, resp.StatusCode)
		}
	}
	resp := l.do(t, l.request(t, "GET", "/x?a=b", "Sec-Fetch-Mode: navigate", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"))
	if got := resp.Header.Get("Location"); resp.StatusCode != 302 || !strings.Contains(got, "returnUrl=http%3A%2F%2Fchat.mana.localhost") || !strings.HasSuffix(got, "%2Fx%3Fa%3Db") {
		t.Errorf("%d to %q", resp.StatusCode, got)
	}
}

// freshWindow is a window no other test uses: counters live as long as the
// process.
func freshWindow() string { return fmt.Sprintf("%ds", 600+rand.IntN(1<<20)) }

// caddy-security#266, #270, #100, #431: forwarded headers count from proxies
// the server trusts, and counters outlive a reload.
func TestLiveRateLimit(t *testing.T) {
	l := startLive(t, "", "mana_rate_limit 2/"+freshWindow())
	for i, want := range []int{200, 200, 429} {
		if resp := l.do(t, l.request(t, "GET", "/", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))); resp.StatusCode != want {
			t.Errorf("request %d: %d, want %d", i, resp.StatusCode, want)
		}
	}
	l.load(t)
	if resp := l.do(t, l.request(t, "GET", "/")); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after a reload: %d", resp.StatusCode)
	}
}

func TestLiveRateLimitBehindATrustedProxy(t *testing.T) {
	l := startLive(t, "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}", "mana_rate_limit 1/"+freshWindow())
	for _, step := range []struct {
		client string
		want   int
	}{{"198.51.100.1", 200}, {"198.51.100.1", 429}, {"198.51.100.2", 200}} {
		if resp := l.do(t, l.request(t, "GET", "/", "X-Forwarded-For: "+step.client)); resp.StatusCode != step.want {
			t.Errorf("%s: %d, want %d", step.client, resp.StatusCode, step.want)
		}
	}
}

// A config at fault is refused, and the one that serves goes on.
func TestLiveFaultyConfigIsRefused(t *testing.T) {
	l := startLive(t, "", "mana_auth")
	faulty := strings.Replace(string(l.config), `"handler":"mana_auth"`, `"handler":"mana_auth","roles":["boss"],"login":"maybe"`, 1)
	wantFaults(t, caddy.Load([]byte(faulty), true), "mana_auth: role: ", `"boss"`, "mana_auth: login: ", `"maybe"`)
	if resp := l.do(t, l.request(t, "GET", "/")); resp.StatusCode != 401 {
		t.Errorf("the config that was serving answers %d", resp.StatusCode)
	}
}
