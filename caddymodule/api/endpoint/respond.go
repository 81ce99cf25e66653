package endpoint

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/pages"
)

// Answer is an answer that is not plain JSON: a [Document], a [Redirect], a
// [NoContent] or a [HTML].
type Answer interface {
	write(s *server, w http.ResponseWriter, r *http.Request)
}

// Statuser is a response in JSON that may have another status than that of
// success.
type Statuser interface{ StatusCode() int }

// Time is a time on the wire.
type Time = answer.Time

// TimeOf is nil where there is no time.
func TimeOf(t *time.Time) *Time { return (*Time)(t) }

// respond writes an answer, with the route's status of success unless it has
// its own.
func (s *server) respond(w http.ResponseWriter, r *http.Request, rt *Route, resp any) {
	switch resp := resp.(type) {
	case Answer:
		resp.write(s, w, r)
	case Statuser:
		s.writeJSON(w, r, resp.StatusCode(), resp)
	default:
		s.writeJSON(w, r, rt.Success(), resp)
	}
}

func (s *server) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	out, err := json.Marshal(v)
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "encode an answer", "error", err)
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

// Document is an answer that is bytes already.
type Document struct {
	ContentType  string
	CacheControl string // no-store where empty
	Body         []byte
}

func (d Document) write(_ *server, w http.ResponseWriter, r *http.Request) {
	if d.CacheControl != "" {
		w.Header().Set("Cache-Control", d.CacheControl)
	}
	write(w, r, 200, d.ContentType, d.Body)
}

// Verbatim is an answer that somebody else has written, whose headers are added to those
// of every answer.
type Verbatim struct {
	Status int
	Header http.Header
	Body   []byte
}

func (v Verbatim) write(_ *server, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, values := range v.Header {
		h[name] = values
	}
	if len(v.Body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(v.Body)))
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(v.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(v.Body) // #nosec G705 -- JSON under its content type and nosniff
	}
}

// Download is a file whose content is written as it is made. An error breaks the
// answer off, so that nobody takes a part of it for the whole.
type Download struct {
	Filename    string
	ContentType string
	Content     func(io.Writer) error
}

func (d Download) write(s *server, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", d.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+d.Filename+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if err := d.Content(w); err != nil {
		s.Logger.ErrorContext(r.Context(), "a download broke off", "file", d.Filename, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// NoContent is an answer of status 204, without a body. Its route has that as the
// status of success.
type NoContent struct{}

func (NoContent) write(_ *server, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// Redirect sends the browser on with a GET (RFC 9110, section 15.4.4). Status is
// 303 where zero.
type Redirect struct {
	To     string
	Status int
}

func (d Redirect) write(_ *server, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", d.To)
	w.Header().Set("Cache-Control", "no-store")
	if d.Status == 0 {
		d.Status = http.StatusSeeOther
	}
	w.WriteHeader(d.Status)
}

// HTML is a hosted page with its status.
type HTML struct {
	Status int
	View   pages.View
	// FormTarget is an origin that the page's form may lead to beside its own.
	FormTarget string
	RetryAfter time.Duration // where set
}

func (p HTML) write(s *server, w http.ResponseWriter, r *http.Request) {
	work := s.work(r, p.View)
	visit := pages.Visit{Language: s.languageOf(r), Work: work}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		visit.Query = r.URL.Query()
	}
	out, nonce, err := s.Pages.Show(visit, p.View)
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "render a page", "error", err)
		write(w, r, 500, "text/plain; charset=utf-8", []byte(internalText))
		return
	}
	forms := "'self'"
	if p.FormTarget != "" {
		forms += " " + p.FormTarget
	}
	s.rememberLanguage(w.Header(), r)
	answer.SecurePage(w.Header(), nonce, "'self' data:", forms)
	if work != nil || pages.Scripted(p.View) {
		answer.AllowScript(w.Header(), nonce)
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(answer.Seconds(p.RetryAfter), 10))
	}
	write(w, r, p.Status, "text/html; charset=utf-8", out)
}
