package edgetest

import (
	"bufio"
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
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Live is a Caddy with one gated site before an upstream, and a second edge on
// the same database, through which the tests sign users in and out.
type Live struct {
	Addr     string // of the site
	Host     string
	Upstream *upstream
	Auth     *authcore.Service
	Config   []byte
}

// StartLive runs Caddy, so such a test cannot run beside another of its kind.
// The site's directives stand before reverse_proxy; more options of the app may stand
// behind them.
func StartLive(t *testing.T, options, directives string, app ...string) *Live {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	addr := freeport.Address(t)
	_, port, _ := net.SplitHostPort(addr)
	base := "http://auth.mana.localhost:" + port

	db := pgtest.New(t)
	l := &Live{Addr: addr, Host: "chat.mana.localhost:" + port, Upstream: newUpstream(t)}
	l.Auth = GateService(t, db, func(c *authcore.Config) {
		c.BaseURL, c.CookieDomain, c.TrustedOrigins = base, ".mana.localhost", []string{"http://*.mana.localhost:" + port}
	})
	var err error
	l.Config, err = Adapt(t, fmt.Sprintf(`{
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
		%[8]s
	}
	%[5]s
}
http://chat.mana.localhost:%[3]s {
	%[6]s
	reverse_proxy %[7]s
}`, db.DSN, base, port, gateSecret, options, directives, l.Upstream.addr, strings.Join(app, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	l.Load(t)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Load loads the config again.
func (l *Live) Load(t *testing.T) {
	t.Helper()
	if err := caddy.Load(l.Config, true); err != nil {
		t.Fatal(err)
	}
}

// Request is one to the site. Header names are sent as they are spelt here.
func (l *Live) Request(t *testing.T, method, path string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = l.Host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// Do sends a request and returns the answer.
func (l *Live) Do(t *testing.T, r *http.Request) *http.Response {
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
	Left chan string // names the stream whose client has left
}

// Seen is what the upstream got.
type Seen struct {
	Method, Host, Path, Query string // Path as it is encoded
	Header, Trailer           http.Header
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{Left: make(chan string, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(Seen{r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, r.Header, r.Trailer})
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
		u.Left <- "events"
	})
	mux.HandleFunc("/lasting", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a line\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		u.Left <- "lasting"
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
		_, _ = io.Copy(conn, rw)
		u.Left <- "socket"
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

// FreshWindow is a window no other test uses: counters live as long as the
// process.
func FreshWindow() string { return fmt.Sprintf("%ds", 600+rand.IntN(1<<20)) }

// Stream is an open connection of which one line has been read.
type Stream struct {
	Reader *bufio.Reader
	Write  func(string) error
}

// OpenSocket opens a WebSocket through the gate.
func (l *Live) OpenSocket(t *testing.T, credential string) Stream {
	t.Helper()
	return l.OpenSocketAt(t, "/socket", credential)
}

// OpenSocketAt is OpenSocket at a path with its query.
func (l *Live) OpenSocketAt(t *testing.T, path, credential string) Stream {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n\r\n", path, l.Host, credential)
	s := Stream{Reader: bufio.NewReader(conn), Write: func(line string) error {
		_, err := io.WriteString(conn, line)
		return err
	}}
	for line := ""; line != "hello\n"; {
		if line, err = s.Reader.ReadString('\n'); err != nil {
			t.Fatalf("open a socket: %v", err)
		}
		if strings.HasPrefix(line, "HTTP/1.1 ") && !strings.Contains(line, "101") {
			t.Fatalf("open a socket: %s", line)
		}
	}
	return s
}

// OpenEvents opens server-sent events through the gate.
func (l *Live) OpenEvents(t *testing.T, credential string) Stream {
	t.Helper()
	return l.OpenEventsAt(t, "/events", credential)
}

// OpenEventsAt is OpenEvents at a path with its query.
func (l *Live) OpenEventsAt(t *testing.T, path, credential string) Stream {
	t.Helper()
	resp := l.Do(t, l.Request(t, "GET", path, credential, "Accept: text/event-stream")) //nolint:bodyclose // Do closes it at the end of the test
	s := Stream{Reader: bufio.NewReader(resp.Body)}
	if line, err := s.Reader.ReadString('\n'); err != nil || line != "data: hello\n" {
		t.Fatalf("open events: %d %q, %v", resp.StatusCode, line, err)
	}
	_, _ = s.Reader.ReadString('\n')
	return s
}

// WantAlive checks that what is written comes back.
func (s Stream) WantAlive(t *testing.T) {
	t.Helper()
	if err := s.Write("ping\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := s.Reader.ReadString('\n'); err != nil || line != "ping\n" {
		t.Fatalf("the stream of another session got %q, %v", line, err)
	}
}

// WantEnd checks that the stream ends by itself.
func (s Stream) WantEnd(t *testing.T, name string) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.Reader)
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
