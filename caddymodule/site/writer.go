package site

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/guard"
)

// Writer sees the header of a response before it leaves, and takes out of an
// app's what is the edge's to say: its cookies, its limits, what a request cost,
// and, of a response that is one user's, that others may have it. There is one a
// request; the directives that meet the request share it.
type Writer struct {
	caddyhttp.ResponseWriterWrapper
	passing bool     // the response is an app's, not a directive's
	Private bool     // it is one user's
	Shared  bool     // it is everybody's, the admin says
	Metered bool     // the meter says what the request cost
	Limits  []string // values of limitHeaders, where a limit has counted
	cookies []string // Set-Cookie values of the edge
	expose  bool     // pages of the origin that asks may read what the edge adds
	wrote   bool
	behind  AppHandler // of the first directive
	vary    [1]string
}

// limitHeaders are set by the rate limit.
var limitHeaders = [...]string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

const limitHeaderPrefix = "X-Ratelimit-"

func newAppWriter(w http.ResponseWriter) *Writer {
	return &Writer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// ByCaller says that the response depends on who asks.
func (a *Writer) ByCaller() {
	const fields = "Authorization, Cookie"
	h := a.Header()
	if before := h["Vary"]; len(before) > 0 {
		h["Vary"] = append(before, fields)
		return
	}
	a.vary[0] = fields
	h["Vary"] = a.vary[:]
}

// under reports whether w leads to the writer.
func (a *Writer) under(w http.ResponseWriter) bool { return appWriterOf(w) == a }

// appWriterOf finds the writer below those that other handlers put over it, nil
// if there is none.
func appWriterOf(w http.ResponseWriter) *Writer {
	for {
		if a, ok := w.(*Writer); ok {
			return a
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wrapper.Unwrap()
	}
}

// AppHandler is what stands behind a directive.
type AppHandler struct {
	Writer *Writer
	first  *Scope // of the directive, if the request met it first
	Next   caddyhttp.Handler
}

// ServeHTTP implements [caddyhttp.Handler].
func (h *AppHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	err := h.Writer.pass(w, r, h.Next)
	if err == nil || h.first == nil {
		return err
	}
	return h.first.answerFor(h.Writer, w, r, err)
}

// pass lets next answer.
func (a *Writer) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	a.passing = true
	err := next.ServeHTTP(w, r)
	DropTrailers(a.Header(), a.owns)
	return err
}

// owns reports whether a field of an app's is the edge's to send.
func (a *Writer) owns(name string) bool {
	switch {
	case len(name) < len("Set-Cookie"):
		return false
	case strings.EqualFold(name, "Set-Cookie"), strings.EqualFold(name, "Set-Cookie2"):
		return true
	case len(name) < len(limitHeaderPrefix):
		return false
	case strings.EqualFold(name[:len(limitHeaderPrefix)], limitHeaderPrefix):
		return a.Limits != nil
	}
	return !a.Metered && IsMeterHeader(name)
}

// settle makes the header fit to leave.
func (a *Writer) settle() {
	h := a.Header()
	if a.passing {
		a.strip(h)
		for i, value := range a.Limits {
			h[limitHeaders[i]] = []string{value}
		}
		if a.Private {
			guard.MakePrivate(h)
		}
	}
	if a.expose {
		answer.Expose(h)
	}
	if len(a.cookies) > 0 && !a.Shared && guard.IsPrivate(h) {
		h["Set-Cookie"] = append(h["Set-Cookie"], a.cookies...)
	}
}

func (a *Writer) strip(h http.Header) {
	for name := range h {
		if name != "Set-Cookie" && a.owns(name) {
			delete(h, name)
		}
	}
	guard.DropCookies(h, ownCookies.hasFold)
	if announced, ok := h["Trailer"]; ok {
		Announce(h, announced, a.owns)
	}
}

// WriteHeader implements [http.ResponseWriter].
func (a *Writer) WriteHeader(status int) {
	switch {
	case a.wrote:
	case status < 200 && status != http.StatusSwitchingProtocols:
		if a.passing {
			a.strip(a.Header())
		}
	default:
		a.wrote = true
		a.settle()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *Writer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (a *Writer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what [http.ResponseController] calls.
func (a *Writer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (a *Writer) Flush() { _ = a.FlushError() }

// Hijack implements [http.Hijacker].
func (a *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

func (a *Writer) begin() {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
}

// Interface guards
var (
	_ http.Flusher  = (*Writer)(nil)
	_ http.Hijacker = (*Writer)(nil)
	_ io.ReaderFrom = (*Writer)(nil)
)
