package request

import (
	"net/http"
	"net/url"
	"strings"

	"mana.how/edge/authcore/origin"
)

// IsSpeculative reports whether the browser asks on the mere chance that the
// user will: a prefetch or prerender (Sec-Purpose of the Fetch standard, and
// its forerunners).
func IsSpeculative(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, value := range h[name] {
			for part := range strings.FieldsFuncSeq(strings.ToLower(value), func(r rune) bool { return strings.ContainsRune(",; \t", r) }) {
				switch part {
				case "prefetch", "prerender", "preview":
					return true
				}
			}
		}
	}
	return false
}

// Deliberate refuses a request that another site may have led the user's
// browser to, whatever its method. It asks more than [SameSite], because a
// navigation or an image of any site brings the cookie:
//
//   - an Origin must be the request's own or a trusted one;
//   - without one, Sec-Fetch-Site is same-origin, or none: the user typed the
//     address or chose a bookmark;
//   - else the Referer must be of the request's own or a trusted origin. A page
//     can leave it out and cannot forge it.
//
// A WebSocket handshake without any of these is no browser's.
func Deliberate(r *http.Request, origins origin.List) error {
	origin, site := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origin) > 1 || len(site) > 1 {
		return ErrCrossSite
	}
	trusted := func(origin string) bool { return strings.EqualFold(origin, Origin(r)) || origins.Trusts(origin) }
	if len(origin) == 1 && origin[0] != "null" {
		if trusted(origin[0]) {
			return nil
		}
		return ErrCrossSite
	}
	if len(site) == 1 && (site[0] == "same-origin" || site[0] == "none") {
		return nil
	}
	if len(origin) == 0 {
		if from, ok := refererOrigin(r.Header["Referer"]); ok && trusted(from) {
			return nil
		}
		if IsUpgrade(r) && len(site) == 0 && len(r.Header["Referer"]) == 0 {
			return nil
		}
	}
	return ErrCrossSite
}

func refererOrigin(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Host == "" || u.User != nil {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}
