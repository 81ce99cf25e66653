package endpoint

import (
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/answer"
)

const (
	corsMethods = "GET,POST,PUT,DELETE,PATCH,OPTIONS"
	corsHeaders = "Content-Type,Authorization,X-Requested-With,X-App-Id,Idempotency-Key,X-Altcha"
)

// cors lets trusted origins call with credentials (Fetch, section 3.2) and
// answers OPTIONS. It reports whether the request is answered. The pages have
// no part in it: no other origin reads them.
func (s *server) cors(w http.ResponseWriter, r *http.Request, rt *Route) (answered bool) {
	h := w.Header()
	trusted := answer.AllowReading(h, r, s.Origins)
	if asked := s.askedFor(r, rt); !trusted && asked != nil && asked.AnyOrigin {
		h.Set("Access-Control-Allow-Origin", "*")
		trusted = true
	}
	if r.Method != http.MethodOptions || rt != nil {
		return false
	}
	if preflight := len(r.Header["Origin"]) > 0 && r.Header.Get("Access-Control-Request-Method") != ""; preflight {
		h.Add("Vary", "Access-Control-Request-Method")
		h.Add("Vary", "Access-Control-Request-Headers")
		if trusted {
			answer.AllowSending(h, corsMethods, corsHeaders)
		}
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	if methods := s.router.methods(r.URL.EscapedPath()); len(methods) > 0 {
		h.Set("Allow", allowed(methods))
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	return false
}

// askedFor is the route of a request or, for a preflight, of the request that it asks
// for; nil where there is none.
func (s *server) askedFor(r *http.Request, rt *Route) *Route {
	if rt == nil && r.Method == http.MethodOptions {
		rt, _ = s.router.match(r.Header.Get("Access-Control-Request-Method"), r.URL.EscapedPath())
	}
	return rt
}

// allowed is the Allow header of a path with these methods (RFC 9110, section
// 10.2.1): each path answers OPTIONS as well.
func allowed(methods []string) string {
	return strings.Join(append(methods, http.MethodOptions), ", ")
}
