package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

// answerer is an answer that is not plain JSON.
type answerer interface {
	answer(a *api, w http.ResponseWriter, r *http.Request)
}

// respond writes an answer with the route's status of success.
func (a *api) respond(w http.ResponseWriter, r *http.Request, rt *route, resp any) {
	if own, ok := resp.(answerer); ok {
		own.answer(a, w, r)
		return
	}
	a.writeJSON(w, r, rt.success(), resp)
}

func (a *api) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	out, err := json.Marshal(v)
	if err != nil {
		a.Logger.ErrorContext(r.Context(), "encode an answer", "error", err)
		status, out = 500, []byte(`{"statusCode":500,"message":"`+internalText+`","code":"INTERNAL","error":"INTERNAL"}`)
	}
	write(w, r, status, "application/json; charset=utf-8", out)
}

func write(w http.ResponseWriter, r *http.Request, status int, contentType string, out []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(out)))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out) // #nosec G705 -- JSON under its content type and nosniff, or a page that html/template escaped
	}
}

// document is an answer that is bytes already.
type document struct {
	contentType  string
	cacheControl string
	body         []byte
}

func (d document) answer(_ *api, w http.ResponseWriter, r *http.Request) {
	if d.cacheControl != "" {
		w.Header().Set("Cache-Control", d.cacheControl)
	}
	write(w, r, 200, d.contentType, d.body)
}

// refuse writes the answer to an error in the shape of the route. rt is nil
// for a request that found no route.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, rt *route, err error) {
	p, requestID := a.problemOf(r, rt, err)
	var retryAfter int64
	if p.retry > 0 {
		retryAfter = answer.Seconds(p.retry)
		w.Header().Set("Retry-After", strconv.FormatInt(retryAfter, 10))
	}
	if p.status == 401 && rt != nil && (rt.access == user || rt.access == userOrService) && isTokenProblem(err) {
		w.Header().Set("WWW-Authenticate", answer.Challenge(p.code))
	}
	shape := contract
	switch {
	case rt != nil:
		shape = rt.shape
	case strings.HasPrefix(r.URL.Path, "/api/auth/"):
		shape = native
	case request.IsNavigation(r) && !strings.HasPrefix(r.URL.Path, "/api/"):
		shape = page
	}
	switch shape {
	case native:
		code := nativeCode(p)
		a.writeJSON(w, r, p.status, nativeError{
			Message: p.Error(), Code: code, Error: answer.ErrorOf(code), RetryAfterSec: retryAfter, RequestID: requestID,
		})
	case page:
		a.refusePage(w, r, p, requestID)
	default:
		a.writeJSON(w, r, p.status, contractError{answer.Body{
			StatusCode: p.status, Message: p.message(), Timestamp: instant(a.Now()), Path: pathOf(r),
			Error: answer.ErrorOf(p.code), Code: p.code, Details: p.details, RetryAfterSec: retryAfter, RequestID: requestID,
		}})
	}
}

func isTokenProblem(err error) bool {
	p := known(nil, err)
	return p != nil && (p.code == "NO_TOKEN" || p.code == "INVALID_TOKEN" || p.code == "TOKEN_EXPIRED")
}

// messages is one text or, of a validation, a list.
type messages = answer.Messages

func (p *problem) message() messages {
	if len(p.texts) > 0 {
		return p.texts
	}
	return p.text
}

// contractError is the error body of every route outside of /api/auth.
type contractError struct{ answer.Body }

// nativeError is the error body of the routes under /api/auth. Its code is
// the message in capitals, as their clients expect.
type nativeError struct {
	Message       string `json:"message"`
	Code          string `json:"code"`
	Error         string `json:"error"`
	RetryAfterSec int64  `json:"retryAfterSec,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
}

func nativeCode(p *problem) string {
	if p.code == "VALIDATION_ERROR" || p.code == "SESSION_CONFLICT" {
		return p.code
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
	}, p.Error())
}

// redirect sends the browser on with a GET (RFC 9110, section 15.4.4).
type redirect struct{ to string }

func (d redirect) answer(_ *api, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", d.to)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// html is a hosted page with its status.
type html struct {
	status int
	view   pages.View
	// formTarget is an origin that the page's form may lead to beside its own.
	formTarget string
	retry      time.Duration // Retry-After, where set
}

func (p html) answer(a *api, w http.ResponseWriter, r *http.Request) {
	out, nonce, err := a.Pages.Render(pages.LanguageOf(r.Header.Get("Accept-Language")), p.view)
	if err != nil {
		a.Logger.ErrorContext(r.Context(), "render a page", "error", err)
		write(w, r, 500, "text/plain; charset=utf-8", []byte(internalText))
		return
	}
	securePage(w.Header(), nonce, p.formTarget)
	w.Header().Add("Vary", "Accept-Language")
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(answer.Seconds(p.retry), 10))
	}
	write(w, r, p.status, "text/html; charset=utf-8", out)
}

// refusePage shows an error as a page.
func (a *api) refusePage(w http.ResponseWriter, r *http.Request, p *problem, requestID string) {
	html{status: p.status, view: pages.Problem{Code: p.code, RequestID: requestID}}.answer(a, w, r)
}

// instant is a time on the wire.
type instant = answer.Time
