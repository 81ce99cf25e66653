package gate

import (
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// gateWriter sees the headers of the upstream's answer before they leave: an
// answer without an end has to end with its session.
type gateWriter struct {
	caddyhttp.ResponseWriterWrapper
	auth  *requestAuth
	wrote bool
}

// WriteHeader implements [http.ResponseWriter]. Informational responses pass;
// an upgrade is final (RFC 9110, section 15.2).
func (w *gateWriter) WriteHeader(status int) {
	if !w.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.wrote = true
		w.auth.answered(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *gateWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (w *gateWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

func (w *gateWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// answered notes that the answer has begun. One of events is a stream from its
// first byte on; one without a stated length becomes a stream by lasting.
func (a *requestAuth) answered(h http.Header) {
	events := isEvents(h)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stream = a.stream || events
	if len(h["Content-Length"]) == 0 {
		a.openEnded = time.Now()
	}
	if events && a.timer != nil && a.timer.Stop() {
		a.cancel(errRevoked)
	}
}

// isEvents reports whether the media type of an answer is that of a stream.
func isEvents(h http.Header) bool {
	if len(h["Content-Type"]) != 1 {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(h["Content-Type"][0])
	switch mediaType {
	case "text/event-stream", "application/x-ndjson", "application/jsonl", "application/json-seq", "multipart/x-mixed-replace":
		return true
	}
	return strings.HasPrefix(mediaType, "application/grpc")
}

// Interface guard
var _ io.ReaderFrom = (*gateWriter)(nil)
