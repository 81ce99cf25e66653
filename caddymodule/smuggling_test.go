package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

// smuggled is a request in the body of another one.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Mana-User-Id: root\r\nX-Mana-Role: admin\r\n\r\n"

// sitesOfWire are what a request may meet before an app.
var sitesOfWire = map[string]string{
	"auth":    "mana_api",
	"gated":   "mana_auth\nreverse_proxy $UPSTREAM",
	"guest":   "mana_auth optional\nreverse_proxy $UPSTREAM",
	"metered": "mana_auth\nmana_credits 1\nreverse_proxy $UPSTREAM",
	"limited": "mana_rate_limit 100000/1h\nreverse_proxy $UPSTREAM",
}

// No byte of a client's becomes a request of its own at the upstream, whatever
// the protocol, the method and the site, and whoever asks next gets the answer
// to what they asked.
func TestNoBodyBecomesARequest(t *testing.T) {
	w := startWire(t, "", sitesOfWire)
	ada := newPerson(t, w.auth, "ada@mana.localhost", "user")
	bob := newPerson(t, w.auth, "bob@mana.localhost", "user")
	ledger := liveRuntime(t).Credits
	grantTo(t, ledger, ada.user.ID, 1000*creditcore.Credit)
	grantTo(t, ledger, bob.user.ID, 1000*creditcore.Credit)
	bearer := func(p person) field { return field{"authorization", "Bearer " + p.tokens.AccessToken} }

	for _, protocol := range protocols {
		for _, site := range []string{"gated", "guest", "metered", "limited"} {
			for _, attack := range attacks {
				for _, token := range []bool{true, false} {
					pause := time.Duration(0)
					if !token {
						pause = 20 * time.Millisecond
					}
					name := fmt.Sprintf("%s %s %s token=%v pause=%v", protocol.name, site, attack.name, token, pause)
					x := attack.make(w, site)
					x.fields = append(x.fields, field{"x-probe", "attack"})
					if token {
						x.fields = append(x.fields, bearer(ada))
					}
					x.pause = pause
					got := protocol.send(t, w, x)
					if malformed := (got.status == 400 || got.status == 502) && protocol.name != "HTTP/1.1"; got.status != 0 && got.status != attack.status && !malformed && !(got.status == 401 && attack.status == 200 && !token) {
						t.Errorf("%s: %d %s", name, got.status, got.body)
					}
					if got.status == 405 && got.header["allow"] == "" {
						t.Errorf("%s: no Allow", name)
					}
					next := newRawRequest(w, "GET", site, "/next", field{"x-probe", "bob"}, bearer(bob))
					if got := protocol.send(t, w, next); got.status != 200 || !strings.HasPrefix(got.body, "GET /next probe=bob user=") ||
						site != "limited" && !strings.HasSuffix(got.body, bob.user.ID) {
						t.Errorf("%s: the next user got %d %s", name, got.status, got.body)
					}
					w.upstream.wantProxied(t, name)
					if t.Failed() {
						t.FailNow()
					}
				}
			}
		}
	}
	if b, err := ledger.BalanceOf(t.Context(), ada.user.ID); err != nil || b.Held != 0 {
		t.Errorf("after the attacks: %+v, %v", b, err)
	}
}

// attacks are requests with another request in their body. status is what the
// edge answers where it answers at all; 200 stands for a body that goes on as a body.
var attacks = []struct {
	name   string
	status int
	make   func(w *wire, site string) rawRequest
}{
	{"CONNECT", 405, func(w *wire, site string) rawRequest {
		return rawRequest{fields: []field{{":method", "CONNECT"}, {":authority", w.host(site)}}, body: smuggled}
	}},
	{"CONNECT that stays open", 405, func(w *wire, site string) rawRequest {
		return rawRequest{fields: []field{{":method", "CONNECT"}, {":authority", w.host(site)}}, body: smuggled, open: true}
	}},
	{"CONNECT with a length", 405, func(w *wire, site string) rawRequest {
		return rawRequest{fields: []field{{":method", "CONNECT"}, {":authority", w.host(site)}}, body: smuggled, length: true}
	}},
	{"CONNECT with a path", 405, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "CONNECT", site, "/generate"))
	}},
	{"connect", 405, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "connect", site, "/")) }},
	{"PRI", 405, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "PRI", site, "/")) }},
	{"TRACE", 405, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "TRACE", site, "/")) }},
	{"extended CONNECT to UDP", 405, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "CONNECT", site, "/", field{":protocol", "connect-udp"}))
	}},
	{"extended CONNECT to something like a WebSocket", 405, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "CONNECT", site, "/", field{":protocol", "WebSocket"}))
	}},
	{"opaque target", 400, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "POST", site, "x:smuggled")) }},
	{"blank in the query", 400, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "POST", site, "/?a HTTP/1.1 b"))
	}},
	{"GET", 200, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "GET", site, "/")) }},
	{"HEAD", 200, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "HEAD", site, "/")) }},
	{"DELETE", 200, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "DELETE", site, "/")) }},
	{"OPTIONS *", 200, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "OPTIONS", site, "*")) }},
	{"unknown method", 200, func(w *wire, site string) rawRequest { return withBody(newRawRequest(w, "BREW", site, "/")) }},
	{"expectation", 200, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "POST", site, "/", field{"expect", "x 100-continue"}))
	}},
	{"upgrade with a body", 200, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "GET", site, "/", field{"connection", "upgrade"}, field{"upgrade", "websocket"}))
	}},
	{"upgrade to HTTP/2", 200, func(w *wire, site string) rawRequest {
		return withBody(newRawRequest(w, "POST", site, "/", field{"connection", "upgrade, http2-settings"}, field{"upgrade", "h2c"}, field{"http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"}))
	}},
	{"chunks in a version that has none", 200, func(w *wire, site string) rawRequest {
		return rawRequest{fields: append(newRawRequest(w, "POST", site, "/").fields, field{"transfer-encoding", "chunked"}), body: "0\r\n\r\n" + smuggled}
	}},
	{"an unknown transfer coding", 501, func(w *wire, site string) rawRequest {
		return rawRequest{fields: append(newRawRequest(w, "POST", site, "/").fields, field{"transfer-encoding", "xchunked"}), body: "0\r\n\r\n" + smuggled}
	}},
	{"trailers", 200, func(w *wire, site string) rawRequest {
		x := withBody(newRawRequest(w, "POST", site, "/", field{"trailer", "x-mana-user-id, host, cookie"}))
		x.trailer = []field{{"x-mana-user-id", "root"}, {"host", "x"}, {"cookie", "a=b"}, {"content-length", "0"}}
		return x
	}},
	{"less than its length", 200, func(w *wire, site string) rawRequest {
		x := newRawRequest(w, "POST", site, "/", field{"content-length", "0"})
		x.body = smuggled
		return x
	}},
}

func withBody(x rawRequest) rawRequest {
	x.body, x.length = smuggled, true
	return x
}
