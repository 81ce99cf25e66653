package edgetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// byteUpstream is an app that speaks HTTP/1.1 by the letter: whatever follows
// the end of a request on its connection is the next request. It keeps every byte.
type byteUpstream struct {
	addr string

	mu       sync.Mutex
	requests []*http.Request // their bodies are read
	conns    []*bytes.Buffer
	strange  []string // what it could not read as a request
	open     []net.Conn
	Extra    string // header lines of every response
}

func newByteUpstream(t testing.TB) *byteUpstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &byteUpstream{addr: listener.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.open = append(u.open, conn)
			u.mu.Unlock()
			conns.Go(func() { u.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, conn := range u.open {
			conn.Close()
		}
	})
	return u
}

func (u *byteUpstream) serve(conn net.Conn) {
	defer conn.Close()
	u.mu.Lock()
	log := new(bytes.Buffer)
	u.conns = append(u.conns, log)
	u.mu.Unlock()
	reader := bufio.NewReader(io.TeeReader(conn, lockedWriter{u, log}))
	for {
		if _, err := reader.Peek(1); err != nil {
			return
		}
		r, err := http.ReadRequest(reader)
		if err != nil {
			u.note(err)
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the edge ended the connection in the middle of a body
		}
		u.mu.Lock()
		u.requests = append(u.requests, r)
		u.mu.Unlock()
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(conn, reader)
			return
		}
		body := answerOf(r)
		if r.Method == http.MethodHead {
			body = ""
		}
		u.mu.Lock()
		extra := u.Extra
		u.mu.Unlock()
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", extra, len(body), body)
	}
}

// answerOf names the request it answers.
func answerOf(r *http.Request) string {
	return fmt.Sprintf("%s %s probe=%s user=%s", r.Method, r.RequestURI, r.Header.Get("X-Probe"), r.Header.Get("X-Mana-User-Id"))
}

func (u *byteUpstream) note(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.strange = append(u.strange, err.Error())
}

// WantProxied checks that the upstream has read nothing but requests that the
// edge made of one of a client's: Caddy signs them in Via, the client marks its
// own in X-Probe.
func (u *byteUpstream) WantProxied(t testing.TB, what string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range u.strange {
		t.Errorf("%s: the upstream read what is no request: %s", what, text)
	}
	for _, r := range u.requests {
		if !strings.Contains(r.Header.Get("Via"), "Caddy") || r.Header.Get("X-Probe") == "" || strings.Contains(r.RequestURI, "smuggled") || r.Method == http.MethodConnect {
			t.Errorf("%s: the upstream read a request that nobody proxied: %s", what, answerOf(r))
		}
	}
	for _, log := range u.conns {
		if t.Failed() && log.Len() > 0 {
			t.Logf("%s: bytes of a connection: %.2000q", what, log)
		}
		log.Reset()
	}
	u.requests, u.strange = nil, nil
}

// WantForwarded is WantProxied for requests whose path may be anything.
func (u *byteUpstream) WantForwarded(t testing.TB, what string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range u.strange {
		t.Errorf("%s: the upstream read what is no request: %s", what, text)
	}
	for _, r := range u.requests {
		if r.Header.Get("Via") != "2.0 Caddy" || r.Header.Get("X-Probe") == "" || r.Header.Get("X-Mana-User-Id") != "" {
			t.Errorf("%s: the upstream read a request that nobody proxied: %s", what, answerOf(r))
		}
	}
	u.requests, u.strange = nil, nil
}

// Last is the newest request, nil if there is none since the last check.
func (u *byteUpstream) Last() *http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.requests) == 0 {
		return nil
	}
	return u.requests[len(u.requests)-1]
}

type lockedWriter struct {
	u      *byteUpstream
	buffer *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.u.mu.Lock()
	defer w.u.mu.Unlock()
	if w.buffer.Len() < 1<<20 {
		w.buffer.Write(p)
	}
	return len(p), nil
}
