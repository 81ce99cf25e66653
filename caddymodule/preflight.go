package caddymodule

import (
	"net/http"
	"strings"

	"mana.how/edge/authcore"
)

// preflightMaxAge is how long a browser may remember the answer, in seconds.
const preflightMaxAge = "600"

// answerPreflight tells the pages of a trusted origin that they may send the
// request they ask for (Fetch, section 4.8); everybody else is refused as a
// guest. A preflight carries no credentials, and anyone can send one, so none
// reaches an app that guests may not reach. Whether the page may read what the
// app answers to the request itself, the app says by its own CORS headers.
func answerPreflight(w http.ResponseWriter, r *http.Request, origins authcore.Origins) error {
	allowReading(w, r, origins)
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") == "" {
		return refuseNoToken.write(w, r)
	}
	h["Vary"] = append(h["Vary"], "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if names := r.Header["Access-Control-Request-Headers"]; len(names) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(names, ","))
	}
	h.Set("Access-Control-Max-Age", preflightMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// isPreflight recognises a CORS preflight: what browsers send without
// credentials to ask whether they may send more (Fetch, section 4.8).
func isPreflight(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodOptions && len(h["Origin"]) == 1 && len(h["Access-Control-Request-Method"]) == 1 &&
		len(h["Authorization"]) == 0 && len(h["Cookie"]) == 0
}
