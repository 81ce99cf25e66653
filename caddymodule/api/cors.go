package api

import (
	"net/http"
	"strings"
)

const (
	corsMethods = "GET,POST,PUT,DELETE,PATCH,OPTIONS"
	corsHeaders = "Content-Type,Authorization,X-Requested-With,X-App-Id,Idempotency-Key"
	corsMaxAge  = "600"
)

// cors lets trusted origins call with credentials (Fetch, section 3.2) and
// answers OPTIONS. It reports whether the request is answered. The pages have
// no part in it: no other origin reads them.
func (a *api) cors(w http.ResponseWriter, r *http.Request, unknownRoute bool) (answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	trusted := len(origins) == 1 && a.Origins.Trusts(origins[0])
	if trusted {
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method != http.MethodOptions || !unknownRoute {
		return false
	}
	if preflight := len(origins) > 0 && r.Header.Get("Access-Control-Request-Method") != ""; preflight {
		h.Add("Vary", "Access-Control-Request-Method")
		h.Add("Vary", "Access-Control-Request-Headers")
		if trusted {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
		}
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	if methods := a.router.methods(r.URL.EscapedPath()); len(methods) > 0 {
		h.Set("Allow", strings.Join(append(methods, http.MethodOptions), ", "))
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	return false
}
