package caddymodule

import (
	"net/http"
	"strings"
)

// isStream tells whether the client asked for something without an end: an
// upgrade (RFC 9110, section 7.8), an extended CONNECT (RFC 8441) or
// server-sent events.
func isStream(r *http.Request) bool {
	if isUpgrade(r) {
		return true
	}
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(accept), "text/event-stream") {
			return true
		}
	}
	return false
}

func isUpgrade(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}
