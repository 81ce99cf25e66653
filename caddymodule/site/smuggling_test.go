package site_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
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
	w := edgetest.StartWire(t, "", sitesOfWire)
	ada := edgetest.NewPerson(t, w.Auth, "ada@mana.localhost", "user")
	bob := edgetest.NewPerson(t, w.Auth, "bob@mana.localhost", "user")
	ledger := edgetest.LiveRuntime(t).Credits
	edgetest.GrantTo(t, ledger, ada.User.ID, 1000*creditcore.Credit)
	edgetest.GrantTo(t, ledger, bob.User.ID, 1000*creditcore.Credit)
	bearer := func(p edgetest.Person) edgetest.Field {
		return edgetest.Field{"authorization", "Bearer " + p.Tokens.AccessToken}
	}

	for _, protocol := range edgetest.Protocols {
		for _, site := range []string{"gated", "guest", "metered", "limited"} {
			for _, attack := range attacks {
				for _, token := range []bool{true, false} {
					pause := time.Duration(0)
					if !token {
						pause = 20 * time.Millisecond
					}
					name := fmt.Sprintf("%s %s %s token=%v pause=%v", protocol.Name, site, attack.name, token, pause)
					x := attack.make(w, site)
					x.Fields = append(x.Fields, edgetest.Field{"x-probe", "attack"})
					if token {
						x.Fields = append(x.Fields, bearer(ada))
					}
					x.Pause = pause
					got := protocol.Send(t, w, x)
					if malformed := (got.Status == 400 || got.Status == 502) && protocol.Name != "HTTP/1.1"; got.Status != 0 && got.Status != attack.status && !malformed && !(got.Status == 401 && attack.status == 200 && !token) {
						t.Errorf("%s: %d %s", name, got.Status, got.Body)
					}
					if got.Status == 405 && got.Header["allow"] == "" {
						t.Errorf("%s: no Allow", name)
					}
					next := edgetest.NewRawRequest(w, "GET", site, "/next", edgetest.Field{"x-probe", "bob"}, bearer(bob))
					if got := protocol.Send(t, w, next); got.Status != 200 || !strings.HasPrefix(got.Body, "GET /next probe=bob user=") ||
						site != "limited" && !strings.HasSuffix(got.Body, bob.User.ID) {
						t.Errorf("%s: the next user got %d %s", name, got.Status, got.Body)
					}
					w.Upstream.WantProxied(t, name)
					if t.Failed() {
						t.FailNow()
					}
				}
			}
		}
	}
	if b, err := ledger.BalanceOf(t.Context(), ada.User.ID); err != nil || b.Held != 0 {
		t.Errorf("after the attacks: %+v, %v", b, err)
	}
}

// attacks are requests with another request in their body. status is what the
// edge answers where it answers at all; 200 stands for a body that goes on as a body.
var attacks = []struct {
	name   string
	status int
	make   func(w *edgetest.Wire, site string) edgetest.RawRequest
}{
	{"CONNECT", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return edgetest.RawRequest{Fields: []edgetest.Field{{":method", "CONNECT"}, {":authority", w.Host(site)}}, Body: smuggled}
	}},
	{"CONNECT that stays open", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return edgetest.RawRequest{Fields: []edgetest.Field{{":method", "CONNECT"}, {":authority", w.Host(site)}}, Body: smuggled, Open: true}
	}},
	{"CONNECT with a length", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return edgetest.RawRequest{Fields: []edgetest.Field{{":method", "CONNECT"}, {":authority", w.Host(site)}}, Body: smuggled, Length: true}
	}},
	{"CONNECT with a path", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "CONNECT", site, "/generate"))
	}},
	{"connect", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "connect", site, "/"))
	}},
	{"PRI", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "PRI", site, "/"))
	}},
	{"TRACE", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "TRACE", site, "/"))
	}},
	{"extended CONNECT to UDP", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "CONNECT", site, "/", edgetest.Field{":protocol", "connect-udp"}))
	}},
	{"extended CONNECT to something like a WebSocket", 405, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "CONNECT", site, "/", edgetest.Field{":protocol", "WebSocket"}))
	}},
	{"opaque target", 400, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "POST", site, "x:smuggled"))
	}},
	{"blank in the query", 400, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "POST", site, "/?a HTTP/1.1 b"))
	}},
	{"GET", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "GET", site, "/"))
	}},
	{"HEAD", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "HEAD", site, "/"))
	}},
	{"DELETE", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "DELETE", site, "/"))
	}},
	{"OPTIONS *", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "OPTIONS", site, "*"))
	}},
	{"unknown method", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "BREW", site, "/"))
	}},
	{"expectation", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "POST", site, "/", edgetest.Field{"expect", "x 100-continue"}))
	}},
	{"upgrade with a body", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "GET", site, "/", edgetest.Field{"connection", "upgrade"}, edgetest.Field{"upgrade", "websocket"}))
	}},
	{"upgrade to HTTP/2", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return withBody(edgetest.NewRawRequest(w, "POST", site, "/", edgetest.Field{"connection", "upgrade, http2-settings"}, edgetest.Field{"upgrade", "h2c"}, edgetest.Field{"http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"}))
	}},
	{"chunks in a version that has none", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return edgetest.RawRequest{Fields: append(edgetest.NewRawRequest(w, "POST", site, "/").Fields, edgetest.Field{"transfer-encoding", "chunked"}), Body: "0\r\n\r\n" + smuggled}
	}},
	{"an unknown transfer coding", 501, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		return edgetest.RawRequest{Fields: append(edgetest.NewRawRequest(w, "POST", site, "/").Fields, edgetest.Field{"transfer-encoding", "xchunked"}), Body: "0\r\n\r\n" + smuggled}
	}},
	{"trailers", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		x := withBody(edgetest.NewRawRequest(w, "POST", site, "/", edgetest.Field{"trailer", "x-mana-user-id, host, cookie"}))
		x.Trailer = []edgetest.Field{{"x-mana-user-id", "root"}, {"host", "x"}, {"cookie", "a=b"}, {"content-length", "0"}}
		return x
	}},
	{"less than its length", 200, func(w *edgetest.Wire, site string) edgetest.RawRequest {
		x := edgetest.NewRawRequest(w, "POST", site, "/", edgetest.Field{"content-length", "0"})
		x.Body = smuggled
		return x
	}},
}

func withBody(x edgetest.RawRequest) edgetest.RawRequest {
	x.Body, x.Length = smuggled, true
	return x
}
