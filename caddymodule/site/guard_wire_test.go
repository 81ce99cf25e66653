package site_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// An app can neither set the edge's cookies nor say what the edge says, and what
// it calls public is private where a gate stands before it.
func TestAppsSayNothingForTheEdge(t *testing.T) {
	w := edgetest.StartWire(t, "", map[string]string{
		"gated":  "mana_rate_limit 1000/" + edgetest.FreshWindow() + "\nmana_auth\nreverse_proxy $UPSTREAM",
		"shared": "mana_auth {\n cache shared\n}\nreverse_proxy $UPSTREAM",
	})
	ada := edgetest.NewPerson(t, w.Auth, "ada@mana.localhost", "user")
	w.Upstream.Extra = "Set-Cookie: app=1\r\nset-cookie: __Secure-mana.session_token=x; Path=/\r\nSet-Cookie: =mana.device=1\r\n" +
		"Cache-Control: public, s-maxage=9999\r\nSurrogate-Control: max-age=9999\r\nx-ratelimit-limit: 7\r\nMana-Credits-Cost: 1\r\n"
	for _, protocol := range edgetest.Protocols {
		for site, want := range map[string]map[string]string{
			"gated":  {"set-cookie": "app=1", "cache-control": "private", "surrogate-control": "", "x-ratelimit-limit": "1000", "mana-credits-cost": ""},
			"shared": {"set-cookie": "app=1", "cache-control": "public, s-maxage=9999", "surrogate-control": "max-age=9999", "mana-credits-cost": ""},
		} {
			got := protocol.Send(t, w, edgetest.NewRawRequest(w, "GET", site, "/style.css", edgetest.Field{"cookie", ada.Cookie}, edgetest.Field{"x-probe", "a"}))
			if got.Status != 200 {
				t.Fatalf("%s %s: %d %s", protocol.Name, site, got.Status, got.Body)
			}
			for name, value := range want {
				if got.Header[name] != value {
					t.Errorf("%s %s: %s is %q, want %q", protocol.Name, site, name, got.Header[name], value)
				}
			}
		}
	}
}

// A paid request that came as early data, which anyone who recorded it can send
// again, is not served and not charged.
func TestEarlyDataIsNotPaidFor(t *testing.T) {
	w := edgetest.StartWire(t, "", map[string]string{"metered": "mana_auth\nmana_credits 1\nreverse_proxy $UPSTREAM"})
	ada := edgetest.NewPerson(t, w.Auth, "ada@mana.localhost", "user")
	ledger := edgetest.LiveRuntime(t).Credits
	edgetest.GrantTo(t, ledger, ada.User.ID, 100*creditcore.Credit)
	config := w.TLS("h3")
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	served := creditcore.Amount(0)
	ask := func(method string) int {
		transport := &http3.Transport{TLSClientConfig: config, Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, slowToAnswer(t, w.Addr), tc, qc)
		}}
		defer transport.Close()
		ctx, cancel := context.WithTimeout(t.Context(), edgetest.WireWait)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "https://"+w.Host("metered")+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+ada.Tokens.AccessToken)
		r.Header.Set("X-Probe", "a")
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		time.Sleep(100 * time.Millisecond) // the session ticket comes after the handshake
		if resp.StatusCode == 200 {
			served += creditcore.Credit
		}
		return resp.StatusCode
	}
	if status := ask(http.MethodGet); status != 200 {
		t.Fatalf("after the handshake: %d", status)
	}
	early := 0
	for range 5 {
		switch status := ask(http3.MethodGet0RTT); status {
		case http.StatusTooEarly:
			early++
		case 200: // the first bytes were lost and came again after the handshake
		default:
			t.Errorf("early: %d", status)
		}
	}
	if early == 0 {
		t.Error("no early request was refused")
	}
	edgetest.WantAvailable(t, ledger, ada.User.ID, 100*creditcore.Credit-served)
}

// slowToAnswer starts a relay before the QUIC server at addr and returns its
// address. What the server answers is held for 50 ms: a request sent as early
// data is certainly early. It also keeps apart what quic-go's client does
// unlocked with early data, opening a stream and reading the server's
// parameters for streams, which the race detector otherwise reports.
func slowToAnswer(t *testing.T, addr string) string {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	back, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { back.Close() })
	var client atomic.Pointer[net.Addr]
	go func() {
		packet := make([]byte, 1<<16)
		for {
			n, from, err := front.ReadFrom(packet)
			if err != nil {
				return
			}
			client.Store(&from)
			_, _ = back.Write(packet[:n])
		}
	}()
	type answer struct {
		packet []byte
		due    time.Time
	}
	answers := make(chan answer, 1024)
	go func() {
		defer close(answers)
		packet := make([]byte, 1<<16)
		for {
			n, err := back.Read(packet)
			if err != nil {
				return
			}
			answers <- answer{bytes.Clone(packet[:n]), time.Now().Add(50 * time.Millisecond)}
		}
	}()
	go func() {
		for a := range answers {
			time.Sleep(time.Until(a.due))
			_, _ = front.WriteTo(a.packet, *client.Load())
		}
	}()
	return front.LocalAddr().String()
}

// FuzzHTTP2 sends what no client sends over HTTP/2 to a site before an app that
// reads bytes: it reads nothing but requests that the edge made of a client's.
func FuzzHTTP2(f *testing.F) {
	f.Add("CONNECT", "", "", "", "", smuggled)
	f.Add("CONNECT", "/", ":protocol", "websocket", "", smuggled)
	f.Add("POST", "/?a HTTP/1.1", "transfer-encoding", "chunked", "x", "0\r\n\r\n"+smuggled)
	f.Add("GET", "x:y", "content-length", "0", "", smuggled)
	f.Add("POST", "/%2e%2e/", "expect", "100-continue", "content-length", smuggled)
	f.Add("PRI", "*", "upgrade", "h2c", "", "SM\r\n\r\n")
	w := edgetest.StartWire(f, "", map[string]string{"guest": "mana_auth optional\nreverse_proxy $UPSTREAM"})
	f.Fuzz(func(t *testing.T, method, path, name, value, trailer, body string) {
		x := edgetest.RawRequest{Fields: []edgetest.Field{{":method", method}, {":authority", w.Host("guest")}}, Body: body}
		if path != "" {
			x.Fields = append(x.Fields, edgetest.Field{":scheme", "https"}, edgetest.Field{":path", path})
		}
		if name != "" && !strings.EqualFold(name, "via") {
			x.Fields = append(x.Fields, edgetest.Field{name, value})
		}
		x.Fields = append(x.Fields, edgetest.Field{"x-probe", "fuzz"})
		if trailer != "" {
			x.Trailer = []edgetest.Field{{trailer, "1"}}
		}
		what := fmt.Sprintf("%q %q %q: %q", method, path, name, value)
		edgetest.SendHTTP2(t, w, x)
		next := edgetest.NewRawRequest(w, "GET", "guest", "/next", edgetest.Field{"x-probe", "next"})
		if got := edgetest.SendHTTP2(t, w, next); got.Status != 200 || !strings.HasPrefix(got.Body, "GET /next probe=next user=") {
			t.Errorf("%s: the next client got %d %s", what, got.Status, got.Body)
		}
		w.Upstream.WantForwarded(t, what)
	})
}
