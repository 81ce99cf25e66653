package answer

import (
	"net/http"
	"strings"

	"mana.how/edge/authcore/origin"
)

// preflightMaxAge is how long a browser may remember the answer, in seconds.
const preflightMaxAge = "600"

// AllowReading lets the pages of a trusted origin read an answer of ours
// (Fetch, section 3.3). The app would send these headers, had the request
// reached it; without them a browser app sees a network error and not the text
// that makes it refresh. It reports whether the origin is a trusted one.
func AllowReading(h http.Header, r *http.Request, origins origin.List) (trusted bool) {
	h.Add("Vary", "Origin")
	origin := r.Header["Origin"]
	if len(origin) != 1 || !origins.Trusts(origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	h.Set("Access-Control-Allow-Credentials", "true")
	Expose(h)
	return true
}

// AllowSending lets the pages of a trusted origin send requests with these
// methods and headers, which are lists (Fetch, section 3.3).
func AllowSending(h http.Header, methods, headers string) {
	h.Set("Access-Control-Allow-Methods", methods)
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", preflightMaxAge)
}

// Preflight tells the pages of a trusted origin that they may send the request
// they ask for (Fetch, section 4.8); everybody else is refused as a guest. A
// preflight carries no credentials, and anyone can send one, so none reaches an
// app that guests may not reach. Whether the page may read what the app answers
// to the request itself, the app says by its own CORS headers.
func Preflight(w http.ResponseWriter, r *http.Request, origins origin.List) error {
	h := w.Header()
	if !AllowReading(h, r, origins) {
		return NoToken.Write(w, r)
	}
	h["Vary"] = append(h["Vary"], "Access-Control-Request-Method, Access-Control-Request-Headers")
	AllowSending(h, r.Header.Get("Access-Control-Request-Method"), strings.Join(r.Header["Access-Control-Request-Headers"], ","))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// exposed are the headers of ours that pages of a trusted origin may read
// beside the ones that every page may (Fetch, section 3.3.2).
var exposed = []string{
	"Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
	"Mana-Credits-Cost", "Mana-Credits-Remaining", "Mana-Credits-Reserved", "Mana-Credits-Payer", "Mana-Receipt", "Idempotency-Replayed",
}

// Expose adds our headers to those that the answer lets pages read.
func Expose(h http.Header) {
	const name = "Access-Control-Expose-Headers"
	list := strings.Join(h[name], ", ")
	for _, header := range exposed {
		if !containsToken(list, header) {
			if list != "" {
				list += ", "
			}
			list += header
		}
	}
	h[name] = []string{list}
}

func containsToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}
