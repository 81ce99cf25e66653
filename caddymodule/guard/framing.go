package guard

import (
	"net/http"
	"strings"
)

// clean takes from the request what would make an upstream read its connection
// otherwise than as requests with bodies.
//
// An expectation (RFC 9110, section 10.1.1) is met by this edge. An upstream
// that takes one otherwise may answer before the body, and read the body as its
// next request.
func clean(r *http.Request) {
	delete(r.Header, "Expect")
	if values, ok := r.Header["Upgrade"]; ok && !isHandshake(r, values) {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Http2-Settings")
	}
}

// isHandshake reports whether the upgrade leads to a WebSocket, whose handshake
// is a GET without content (RFC 6455, section 4.1). No other goes on: whoever
// switches an upstream to HTTP/2 in clear or to TLS talks to it through the
// connection as they like, past every gate. A server may ignore an upgrade (RFC
// 9110, section 7.8), so the request goes on without.
func isHandshake(r *http.Request, upgrade []string) bool {
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") && r.Method == http.MethodGet && !hasContent(r)
}
