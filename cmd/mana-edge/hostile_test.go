package main_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What no honest client sends is answered with a clear error or cut off, and
// the edge serves on.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "mallory@mana.how", "192.0.2.70")
	access, _ := login(t, e, "mallory@mana.how", "192.0.2.70")
	large := strings.Repeat("a", 10<<20)
	host := fmt.Sprintf("app.mana.localhost:%d", e.HTTPS)
	auth := fmt.Sprintf("auth.mana.localhost:%d", e.HTTPS)
	honest := "Host: " + host + "\r\nAuthorization: Bearer " + access + "\r\n"

	t.Run("requests", func(t *testing.T) {
		for name, tt := range map[string]struct {
			request string
			status  string // first line's beginning
			body    string // a part of the answer
		}{
			"10 MB header":            {"GET /api/whoami HTTP/1.1\r\n" + honest + "X-Large: " + large + "\r\n\r\n", "HTTP/1.1 431 ", ""},
			"10 MB cookie":            {"GET /api/whoami HTTP/1.1\r\n" + honest + "Cookie: __Secure-mana.session_token=" + large + "\r\n\r\n", "HTTP/1.1 431 ", ""},
			"10 MB bearer":            {"GET /api/v1/auth/profile HTTP/1.1\r\nHost: " + auth + "\r\nAuthorization: Bearer " + large + "\r\n\r\n", "HTTP/1.1 431 ", ""},
			"10 MB target":            {"GET /" + large + " HTTP/1.1\r\n" + honest + "\r\n", "HTTP/1.1 431 ", ""},
			"15 KB bearer":            {"GET /api/whoami HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + large[:15<<10] + "\r\n\r\n", "HTTP/1.1 401 ", "Invalid token"},
			"15 KB cookie":            {"GET /api/whoami HTTP/1.1\r\nHost: " + host + "\r\nCookie: __Secure-mana.session_token=" + large[:15<<10] + "\r\n\r\n", "HTTP/1.1 401 ", "No token provided"},
			"10 MB body":              {"POST /api/v1/auth/login HTTP/1.1\r\nHost: " + auth + "\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n" + large, "HTTP/1.1 413 ", "statusCode"},
			"NUL in a header":         {"GET /api/whoami HTTP/1.1\r\n" + honest + "X-Mana-User-Id: a\x00b\r\n\r\n", "HTTP/1.1 400 ", ""},
			"two hosts":               {"GET /api/whoami HTTP/1.1\r\n" + honest + "Host: elsewhere\r\n\r\n", "HTTP/1.1 400 ", ""},
			"two lengths":             {"POST /api/v1/auth/login HTTP/1.1\r\nHost: " + auth + "\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", "HTTP/1.1 400 ", ""},
			"length and chunks":       {"POST /api/v1/auth/login HTTP/1.1\r\nHost: " + auth + "\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 400 ", ""},
			"space before a colon":    {"GET /api/whoami HTTP/1.1\r\n" + honest + "X-Mana-User-Id : forged\r\n\r\n", "HTTP/1.1 400 ", ""},
			"folded header":           {"GET /api/whoami HTTP/1.1\r\n" + honest + "X-Other: a\r\n X-Mana-User-Id: forged\r\n\r\n", "HTTP/1.1 200 ", `"email":"mallory@mana.how"`},
			"identity as hop":         {"GET /api/whoami HTTP/1.1\r\n" + honest + "Connection: X-Mana-User-Id, X-Mana-Email\r\n\r\n", "HTTP/1.1 200 ", `"email":"mallory@mana.how"`},
			"400 cookies of no worth": {"GET /api/whoami HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + strings.Repeat("__Secure-mana.session_token=x; ", 400) + "\r\n\r\n", "HTTP/1.1 401 ", "No token provided"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				answer := raw(t, e, tt.request)
				if !strings.HasPrefix(answer, tt.status) || !strings.Contains(answer, tt.body) {
					t.Errorf("want %s… with %q, got %.600q", tt.status, tt.body, answer)
				}
				if strings.Contains(answer, "forged") {
					t.Errorf("a forged identity came through: %.600q", answer)
				}
			})
		}
	})
	t.Run("then", func(t *testing.T) {
		want(t, send(t, e.client(), http.MethodGet, e.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access), http.StatusOK)
		if log := e.log.String(); strings.Contains(log, "panic") || strings.Contains(log, access) {
			t.Error("the log tells of a panic, or the token")
		}
	})
}

// raw sends bytes over TLS and returns the first answer. The edge may stop
// reading before all is sent.
func raw(t testing.TB, e *Edge, request string) string {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", e.HTTPS)
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "app.mana.localhost", NextProtos: []string{"http/1.1"}} //nolint:gosec // a test's own authority
	if strings.Contains(request, "Host: auth.") {
		config.ServerName = "auth.mana.localhost"
	}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request)
	}()
	var answer bytes.Buffer
	for buffer := make([]byte, 64<<10); ; {
		n, err := conn.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil || bytes.Contains(answer.Bytes(), []byte("\r\n\r\n")) && answer.Len() > 0 && complete(answer.Bytes()) {
			break
		}
	}
	_ = conn.Close()
	<-sent
	return answer.String()
}

// complete reports whether an answer with Content-Length, or without a body, is
// there as a whole.
func complete(answer []byte) bool {
	head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	for _, line := range strings.Split(string(head), "\r\n") {
		var length int
		if _, err := fmt.Sscanf(strings.ToLower(line), "content-length: %d", &length); err == nil {
			return len(body) >= length
		}
	}
	return bytes.HasSuffix(body, []byte("0\r\n\r\n"))
}
