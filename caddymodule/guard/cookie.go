package guard

import (
	"net/http"
	"strings"
)

// DropCookies removes from a response the cookies that the edge owns: an app
// may neither set nor end a session.
func DropCookies(h http.Header, own func(name string) bool) {
	delete(h, "Set-Cookie2")
	values := h["Set-Cookie"]
	kept := values[:0:0]
	for _, value := range values {
		if !own(SetCookieName(value)) {
			kept = append(kept, value)
		}
	}
	switch {
	case len(kept) == len(values):
	case len(kept) == 0:
		delete(h, "Set-Cookie")
	default:
		h["Set-Cookie"] = kept
	}
}

// SetCookieName is the name under which a browser sends the cookie of a
// Set-Cookie value back. A cookie without a name, `=a=1`, comes back as `a=1`
// (RFC 6265bis, section 5.7). The prefixes that browsers know, in any case, are
// left out.
func SetCookieName(value string) string {
	pair, _, _ := strings.Cut(value, ";")
	pair = strings.TrimLeft(pair, "= \t")
	name, _, _ := strings.Cut(pair, "=")
	name = strings.Trim(name, " \t")
	for _, prefix := range []string{"__secure-", "__host-"} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			name = name[len(prefix):]
		}
	}
	return name
}
