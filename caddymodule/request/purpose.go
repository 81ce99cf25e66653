package request

import (
	"net/http"
	"strings"
)

// IsUpgrade reports whether the client asks for another protocol (RFC 9110,
// section 7.8) or a tunnel.
func IsUpgrade(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}

// WantsEvents reports whether the client asks for server-sent events.
func WantsEvents(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(accept), "text/event-stream") {
			return true
		}
	}
	return false
}

// IsPreflight recognises a CORS preflight: what browsers send without
// credentials to ask whether they may send more (Fetch, section 4.8).
func IsPreflight(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodOptions && len(h["Origin"]) == 1 && len(h["Access-Control-Request-Method"]) == 1 &&
		len(h["Authorization"]) == 0 && len(h["Cookie"]) == 0
}

// IsNavigation reports whether the request loads a page: by Sec-Fetch-Mode
// (W3C Fetch Metadata), else by being a GET that accepts HTML. What a script
// marks by X-Requested-With as its own is none.
func IsNavigation(r *http.Request) bool {
	for _, by := range r.Header["X-Requested-With"] {
		if strings.EqualFold(by, "XMLHttpRequest") {
			return false
		}
	}
	if mode := r.Header["Sec-Fetch-Mode"]; len(mode) > 0 {
		return mode[0] == "navigate"
	}
	if r.Method != http.MethodGet || IsUpgrade(r) {
		return false
	}
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(accept), "text/html") {
			return true
		}
	}
	return false
}
