package guard

import (
	"errors"
	"net/http"
	"strings"
)

// Allowed is the Allow header of a response to [ErrMethod] (RFC 9110, section
// 10.2.1).
const Allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// ErrMethod means a method whose content is a message of its own in one version
// of HTTP, and the body of a request in another.
var ErrMethod = errors.New("method not allowed")

// checkMethod refuses the methods after whose header an upstream does not wait
// for the body that the edge has read:
//
//   - CONNECT (RFC 9110, section 9.3.6), however spelt. An extended CONNECT for
//     a WebSocket (RFC 8441, RFC 9220) is none: reverse_proxy makes a GET of it,
//     and its content goes on once the upstream has switched protocols;
//   - PRI, the preface of HTTP/2 (RFC 9113, section 3.4);
//   - TRACE with content, which it must not have (RFC 9110, section 9.3.8).
func checkMethod(r *http.Request) error {
	switch len(r.Method) {
	case len("GET"):
		if strings.EqualFold(r.Method, "PRI") {
			return ErrMethod
		}
	case len("TRACE"):
		if strings.EqualFold(r.Method, http.MethodTrace) && hasContent(r) {
			return ErrMethod
		}
	case len("CONNECT"):
		if strings.EqualFold(r.Method, http.MethodConnect) && !IsWebSocketConnect(r) {
			return ErrMethod
		}
	}
	return nil
}

// IsWebSocketConnect reports whether the request is an extended CONNECT for a
// WebSocket, as net/http and quic-go show them and reverse_proxy knows them.
func IsWebSocketConnect(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	switch r.ProtoMajor {
	case 2:
		protocol := r.Header[":protocol"]
		return len(protocol) == 1 && protocol[0] == "websocket"
	case 3:
		return r.Proto == "websocket"
	}
	return false
}

func hasContent(r *http.Request) bool {
	return r.ContentLength != 0 || len(r.TransferEncoding) > 0
}
