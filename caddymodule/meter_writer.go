package caddymodule

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	headerCost      = "Mana-Credits-Cost"
	headerRemaining = "Mana-Credits-Remaining"
	meterPrefix     = "Mana-Credits-"
)

// isMeterHeader tells whether only the meter may send the header.
func isMeterHeader(name string) bool {
	return len(name) >= len(meterPrefix) && strings.EqualFold(name[:len(meterPrefix)], meterPrefix)
}

// watch serves the request by next and calls end once, when the headers of the
// response are about to leave or it is clear that none will come. end may
// change the header then.
func (m *Meter) watch(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, end func(ending, []string)) error {
	mw := &meterWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, costFrom: m.CostFrom}
	mw.end = func(status int, err error) {
		mw.once.Do(func() { end(endingOf(r.Context(), status, err), mw.takeCost()) })
	}
	err := errPanicked
	defer func() { mw.end(http.StatusOK, err) }()
	err = next.ServeHTTP(mw, r)
	dropTrailers(w.Header(), mw.owns)
	return err
}

// errPanicked stands for what a handler that panicked did not return.
var errPanicked = errors.New("a handler panicked")

// meterWriter sees the headers of a response before they leave.
type meterWriter struct {
	*caddyhttp.ResponseWriterWrapper
	costFrom string
	end      func(status int, err error)
	once     sync.Once
	wrote    bool
}

// WriteHeader implements [http.ResponseWriter]. Informational responses pass;
// an upgrade is final (RFC 9110, section 15.2).
func (w *meterWriter) WriteHeader(status int) {
	switch {
	case w.wrote:
	case status < 200 && status != http.StatusSwitchingProtocols:
		cost := w.takeCost()
		w.ResponseWriter.WriteHeader(status)
		if cost != nil {
			w.Header()[http.CanonicalHeaderKey(w.costFrom)] = cost
		}
		return
	default:
		w.wrote = true
		w.end(status, nil)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *meterWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (w *meterWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what [http.ResponseController] calls.
func (w *meterWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *meterWriter) Flush() { _ = w.FlushError() }

// Hijack implements [http.Hijacker]. Who takes the connection without a word
// has switched protocols.
func (w *meterWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.wrote {
		w.wrote = true
		w.end(http.StatusSwitchingProtocols, nil)
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w *meterWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// owns tells whether the client must not get the upstream's header.
func (w *meterWriter) owns(name string) bool {
	return isMeterHeader(name) || w.costFrom != "" && strings.EqualFold(name, w.costFrom)
}

// takeCost removes from the response what is not for the client, the
// announcement of trailers included, and returns what the upstream says that
// the request cost.
func (w *meterWriter) takeCost() (cost []string) {
	h := w.Header()
	for name, values := range h {
		if w.owns(name) {
			delete(h, name)
			if !isMeterHeader(name) {
				cost = append(cost, values...)
			}
		}
	}
	if announced, ok := h["Trailer"]; ok {
		announce(h, announced, w.owns)
	}
	return cost
}

// announce leaves the names in the Trailer header that drop does not want.
func announce(h http.Header, values []string, drop func(string) bool) {
	var kept []string
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" && !drop(name) {
				kept = append(kept, name)
			}
		}
	}
	if delete(h, "Trailer"); len(kept) > 0 {
		h["Trailer"] = []string{strings.Join(kept, ", ")}
	}
}

// dropTrailers removes the trailers that were not announced.
func dropTrailers(h http.Header, drop func(string) bool) {
	for name := range h {
		if plain, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && drop(plain) {
			delete(h, name)
		}
	}
}

// Interface guards
var (
	_ http.Flusher  = (*meterWriter)(nil)
	_ http.Hijacker = (*meterWriter)(nil)
	_ io.ReaderFrom = (*meterWriter)(nil)
)
