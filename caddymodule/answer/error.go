package answer

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/request"
)

// Messages is one text or, of a validation, a list of them.
type Messages any

// Body is the one error body of the edge. Older clients read message and
// code, later ones error, which is the code in capitals.
type Body struct {
	StatusCode    int      `json:"statusCode"`
	Message       Messages `json:"message"`
	Timestamp     Time     `json:"timestamp"`
	Path          string   `json:"path"`
	Error         string   `json:"error,omitempty"`
	Code          string   `json:"code,omitempty"`
	Details       any      `json:"details,omitempty"`
	RetryAfterSec int64    `json:"retryAfterSec,omitempty"`
	RequestID     string   `json:"requestId,omitempty"`
}

// ErrorOf is the member error that goes with a code.
func ErrorOf(code string) string {
	if code == "VALIDATION_ERROR" {
		return "VALIDATION"
	}
	return code
}

// Problem are the members of RFC 9457, section 3.1.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Error is an answer other than the one asked for. Its texts steer real clients:
// "Invalid token" makes them refresh and try again, so no other answer may
// contain it. What is empty is left out.
type Error struct {
	Status  int
	Code    string
	Message string
	// Messages are those of a validation, instead of Message.
	Messages   []string
	RetryAfter time.Duration
	Details    any
	Problem    *Problem
	// Challenge is the WWW-Authenticate of a 401 whose code does not tell it, or of
	// another status.
	Challenge string
}

func (e Error) Error() string {
	if len(e.Messages) > 0 {
		return strings.Join(e.Messages, ", ")
	}
	return e.Message
}

// Body is the error as clients read it. The path is one without a query, which
// may hold secrets.
func (e Error) Body(path string, at time.Time) Body {
	body := Body{
		StatusCode: e.Status, Message: e.Message, Error: ErrorOf(e.Code), Code: e.Code, Details: e.Details,
		Timestamp: Time(at), Path: path,
	}
	if len(e.Messages) > 0 {
		body.Message = e.Messages
	}
	if e.RetryAfter > 0 {
		body.RetryAfterSec = Seconds(e.RetryAfter)
	}
	return body
}

// The answers that several handlers give.
var (
	NoToken      = Error{Status: http.StatusUnauthorized, Code: "NO_TOKEN", Message: "No token provided"}
	CrossSite    = Error{Status: http.StatusForbidden, Code: "CROSS_SITE", Message: "Forbidden: request from another site"}
	InvalidToken = Error{Status: http.StatusUnauthorized, Code: "INVALID_TOKEN", Message: "Invalid token"}
	Unavailable  = Error{
		Status: http.StatusServiceUnavailable, Code: "UNAVAILABLE",
		Message: "Service unavailable: database connection unavailable", RetryAfter: 5 * time.Second,
	}
	Internal = Error{Status: http.StatusInternalServerError, Code: "INTERNAL", Message: "Internal server error"}
)

// Write sends the error. The path in the body is the client's own.
func (e Error) Write(w http.ResponseWriter, r *http.Request) error {
	body := struct {
		Body
		*Problem
	}{e.Body(request.Original(r).URL.EscapedPath(), time.Now()), e.Problem}
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(body.RetryAfterSec, 10))
	}
	out, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if e.Status == http.StatusUnauthorized || e.Challenge != "" {
		h.Set("WWW-Authenticate", cmp.Or(e.Challenge, Challenge(e.Code)))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	_, err = w.Write(out)
	return err
}

// Challenge is the WWW-Authenticate of a 401 with the code (RFC 6750, section
// 3): only a token that was shown can be an invalid one.
func Challenge(code string) string {
	switch code {
	case "INVALID_TOKEN", "TOKEN_EXPIRED":
		return `Bearer error="invalid_token"`
	}
	return "Bearer"
}
