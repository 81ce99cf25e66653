package endpoint

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

// refuse writes the answer to an error in the format of the route. rt is nil
// for a request that found no route.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, rt *Route, err error) {
	e, requestID := s.errorOf(r, rt, err)
	var retryAfter int64
	if e.RetryAfter > 0 {
		retryAfter = answer.Seconds(e.RetryAfter)
		w.Header().Set("Retry-After", strconv.FormatInt(retryAfter, 10))
	}
	if e.Status == 401 && rt != nil && (rt.Access == User || rt.Access == UserOrService) && isTokenError(err) {
		w.Header().Set("WWW-Authenticate", answer.Challenge(e.Code))
	}
	switch formatOf(r, rt) {
	case BetterAuth:
		code := BetterAuthCode(e)
		s.writeJSON(w, r, e.Status, BetterAuthError{
			Message: e.Error(), Code: code, Error: answer.ErrorOf(code), Details: e.Details, RetryAfterSec: retryAfter, RequestID: requestID,
		})
	case OAuth:
		s.writeJSON(w, r, e.Status, OAuthError{Error: OAuthCode(e), ErrorDescription: e.Error()})
	case Page:
		if e.Code == ErrSecondFactorMissing.Code {
			Redirect{To: enrollmentFrom(r)}.write(s, w, r)
			return
		}
		HTML{Status: e.Status, View: pages.Problem{Code: e.Code, RequestID: requestID, Wait: e.RetryAfter}}.write(s, w, r)
	default:
		body := e.Body(pathOf(r), s.Now())
		body.RequestID = requestID
		s.writeJSON(w, r, e.Status, body)
	}
}

// EnrollmentPage is where a second factor is set up.
const EnrollmentPage = "/account/two-factor"

// Enrollment is that page for who must set one up to go on to a checked target.
func Enrollment(target string) string {
	query := url.Values{"required": {"1"}}
	if target != "" {
		query.Set("returnUrl", target)
	}
	return EnrollmentPage + "?" + query.Encode()
}

// enrollmentFrom leads back to a page that was asked for.
func enrollmentFrom(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Enrollment("")
	}
	return Enrollment(r.URL.RequestURI())
}

// formatOf is the format of a route's errors or, where there is none, of those
// of its neighbours.
func formatOf(r *http.Request, rt *Route) ErrorFormat {
	switch {
	case rt != nil:
		return rt.Format
	case strings.HasPrefix(r.URL.Path, "/api/auth/"):
		return BetterAuth
	case request.IsNavigation(r) && !strings.HasPrefix(r.URL.Path, "/api/"):
		return Page
	}
	return Legacy
}

func isTokenError(err error) bool {
	e := known(nil, err)
	return e != nil && (e.Code == "NO_TOKEN" || e.Code == "INVALID_TOKEN" || e.Code == "TOKEN_EXPIRED")
}

// BetterAuthError is the error body of the routes under /api/auth. Its code is
// the message in capitals, as their clients expect.
type BetterAuthError struct {
	Message       string `json:"message"`
	Code          string `json:"code"`
	Error         string `json:"error"`
	Details       any    `json:"details,omitempty"`
	RetryAfterSec int64  `json:"retryAfterSec,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
}

// OAuthError is the error body of the protocol endpoints of the OpenID provider (RFC
// 6749, section 5.2).
type OAuthError struct {
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// OAuthCode is the code of an error in that format.
func OAuthCode(e *Error) string {
	switch e.Status {
	case http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case http.StatusInternalServerError:
		return "server_error"
	}
	return strings.ToLower(e.Code)
}

// BetterAuthCode is the code of an error in that format.
func BetterAuthCode(e *Error) string {
	switch e.Code {
	case "VALIDATION_ERROR", "SESSION_CONFLICT", "TWO_FACTOR_FAILED", "TWO_FACTOR_EXPIRED", "TWO_FACTOR_ALREADY_ENABLED",
		"TWO_FACTOR_NOT_ENABLED", "REAUTHENTICATION_REQUIRED", "SECOND_FACTOR_REQUIRED", "PROOF_OF_WORK_REQUIRED",
		"PASSWORDS_OFF", "PROVIDER_NOT_FOUND", "PROVIDER_FAILED", "PROVIDER_UNAVAILABLE":
		return e.Code
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '_'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return -1
	}, e.Error())
}
