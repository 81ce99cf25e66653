package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/authcore"
)

// refusal is an answer of the gate, the rate limit or the meter in place of
// the upstream's. Its texts steer real clients: "Invalid token" makes them
// refresh and try again, so no other refusal may contain it. What is empty is
// left out.
type refusal struct {
	status     int
	message    string
	retryAfter time.Duration
	code       string
	details    any
	problem    *problem
}

// problem are the members of RFC 9457, section 3.1.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

var (
	refuseNoToken      = refusal{status: http.StatusUnauthorized, message: "No token provided"}
	refuseInvalidToken = refusal{status: http.StatusUnauthorized, message: "Invalid token"}
	refuseRole         = refusal{status: http.StatusForbidden, message: "Forbidden: your role does not allow this"}
	refuseCrossSite    = refusal{status: http.StatusForbidden, message: "Forbidden: request from another site"}
	refuseUnavailable  = refusal{status: http.StatusServiceUnavailable, message: "Service unavailable: database connection unavailable", retryAfter: 5 * time.Second}
	refuseKeyReused    = refusal{status: http.StatusUnprocessableEntity, message: "The idempotency key was used for another request", code: "IDEMPOTENCY_KEY_REUSED"}
	refuseInternal     = refusal{status: http.StatusInternalServerError, message: "Internal server error"}
)

// write sends the refusal with the error body of the wire contract. The path
// is the client's own, without the query, which may hold secrets.
func (f refusal) write(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(struct {
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
		Code       string `json:"code,omitempty"`
		Details    any    `json:"details,omitempty"`
		Timestamp  string `json:"timestamp"`
		Path       string `json:"path"`
		*problem
	}{f.status, f.message, f.code, f.details, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), originalRequest(r).URL.EscapedPath(), f.problem})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(wholeSeconds(f.retryAfter), 10))
	}
	w.WriteHeader(f.status)
	_, err = w.Write(body)
	return err
}

// wholeSeconds rounds up, to one at least: Retry-After knows no fractions.
func wholeSeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// allowReading lets the pages of a trusted origin read a refusal. The app
// would send these headers, had the request reached it; without them a
// browser app sees a network error and not the text that makes it refresh.
func allowReading(w http.ResponseWriter, r *http.Request, origins authcore.Origins) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header["Origin"]; len(origin) == 1 && origins.Trusts(origin[0]) {
		w.Header().Set("Access-Control-Allow-Origin", origin[0])
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
}

// originalRequest is the request line as the client sent it, also after
// handle_path or rewrite.
func originalRequest(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return &original
	}
	return r
}

// isNavigation tells a page load from a call: by Sec-Fetch-Mode (W3C Fetch
// Metadata), else by being a GET that accepts HTML.
func isNavigation(r *http.Request) bool {
	if mode := r.Header["Sec-Fetch-Mode"]; len(mode) > 0 {
		return mode[0] == "navigate"
	}
	if r.Method != http.MethodGet || isUpgrade(r) {
		return false
	}
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(accept), "text/html") {
			return true
		}
	}
	return false
}
