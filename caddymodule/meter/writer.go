package meter

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/caddymodule/meter/upstream"
	"mana.how/edge/caddymodule/site"
)

const (
	headerCost      = "Mana-Credits-Cost"
	headerRemaining = "Mana-Credits-Remaining"
	headerPayer     = "Mana-Credits-Payer"
	headerReceipt   = "Mana-Receipt"
)

// settler is called once, when the headers of a response are about to leave or
// it is clear that none will come, or when the response is over. It may change the
// header then. said is what the upstream says that the request cost. An error
// means that the client must not have the response.
type settler func(e upstream.Result, said statement) error

// watched is what is watched of a response. Where end refuses it refuse answers in its
// place.
type watched struct {
	terms     terms
	end       settler
	refuse    func(error) error
	extension *extension
}

// watch serves the request by next.
func (m *Meter) watch(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, x watched) (err error) {
	mw := &meterWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		m:                     m, r: r, watched: x, before: w.Header().Clone(), over: make(chan struct{}),
	}
	if m.CostTokens != nil {
		m.askReadable(r, x.terms)
	}
	if m.waits {
		var stop func()
		r, stop = mw.outlive(r)
		defer stop()
	}
	failure := errPanicked
	defer func() {
		mw.conclude(failure)
		if mw.refused || mw.cut {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's own value
				panic(p)
			}
			err = mw.answered
		}
	}()
	failure = next.ServeHTTP(mw, r)
	return failure
}

// errPanicked stands for what a handler that panicked did not return.
var errPanicked = errors.New("a handler panicked")

// errWithheld ends the copying of a response that the client does not get.
var errWithheld = errors.New("the response is withheld")

// meterWriter sees the headers of a response before they leave, and its trailer.
type meterWriter struct {
	*caddyhttp.ResponseWriterWrapper
	m *Meter
	r *http.Request // the client's
	watched
	before http.Header // the response's before the upstream

	wrote    bool
	status   int
	waiting  bool           // for the end of the response
	usage    *tokens.Reader // that reads what the response used, nil for none
	cut      bool           // the response is a stream that was ended
	once     sync.Once
	over     chan struct{} // closed when the request is settled
	refused  bool
	answered error // what refuse said
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
			w.Header()[http.CanonicalHeaderKey(w.m.CostFrom)] = cost
		}
		return
	default:
		w.wrote, w.status = true, status
		if w.head(); w.refused {
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// head settles by the header, unless what counts is still to come.
func (w *meterWriter) head() {
	h := w.Header()
	e := upstream.ResultOf(w.r.Context(), w.status, nil)
	e.GRPC = upstream.GRPCCodeOf(h[upstream.HeaderGRPCStatus])
	later := w.awaitsTrailer(h)
	said := statement{values: w.takeCost()}
	if !w.m.free.Covers(e) && (later && said.values == nil || w.readUsage(h)) {
		if w.waiting = true; !w.m.Shadow {
			announceBill(h, w.r)
		}
		return
	}
	w.settle(e, said)
}

// settle calls end, once, and answers in place of the upstream if it refuses.
func (w *meterWriter) settle(e upstream.Result, said statement) {
	w.once.Do(func() {
		defer close(w.over)
		refusal := w.end(e, said)
		if w.refused = refusal != nil; w.refused {
			h := w.Header()
			clear(h)
			maps.Copy(h, w.before)
			w.answered = w.refuse(refusal)
		}
	})
}

// conclude settles what has not been settled when the handler has returned.
func (w *meterWriter) conclude(failure error) {
	h := w.Header()
	switch {
	case w.waiting:
		w.settle(w.trailer(h))
	case !w.wrote:
		w.settle(upstream.ResultOf(w.r.Context(), http.StatusOK, failure), statement{values: w.takeCost()})
	}
	site.DropTrailers(h, w.owns)
}

// Write implements [http.ResponseWriter].
func (w *meterWriter) Write(p []byte) (int, error) {
	if w.begin(); w.refused {
		return 0, errWithheld
	}
	write := w.ResponseWriter.Write
	if w.usage != nil {
		write = w.writeRead
	}
	n, err := write(p)
	if err != nil && w.waiting && w.m.waits && !w.cut {
		return len(p), nil // the client is gone, what counts is still to come
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom].
func (w *meterWriter) ReadFrom(r io.Reader) (int64, error) {
	switch w.begin(); {
	case w.refused:
		return 0, errWithheld
	case w.waiting:
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what [http.ResponseController] calls.
func (w *meterWriter) FlushError() error {
	if w.begin(); w.refused {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *meterWriter) Flush() { _ = w.FlushError() }

// Hijack implements [http.Hijacker]. Who takes the connection without a word
// has switched protocols.
func (w *meterWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.wrote {
		w.wrote, w.status = true, http.StatusSwitchingProtocols
		w.settle(upstream.ResultOf(w.r.Context(), w.status, nil), statement{values: w.takeCost()})
	}
	if w.refused {
		return nil, nil, errWithheld
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w *meterWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// owns reports whether the client must not get the upstream's header.
func (w *meterWriter) owns(name string) bool {
	return site.IsMeterHeader(name) || w.m.CostFrom != "" && strings.EqualFold(name, w.m.CostFrom)
}

// takeCost removes from the response what is not for the client, the
// announcement of trailers included, and returns what the upstream says that
// the request cost.
func (w *meterWriter) takeCost() (cost []string) {
	h := w.Header()
	for name, values := range h {
		if w.owns(name) {
			delete(h, name)
			if !site.IsMeterHeader(name) {
				cost = append(cost, values...)
			}
		}
	}
	if announced, ok := h["Trailer"]; ok {
		site.Announce(h, announced, w.owns)
	}
	return cost
}

// Interface guards
var (
	_ http.Flusher  = (*meterWriter)(nil)
	_ http.Hijacker = (*meterWriter)(nil)
	_ io.ReaderFrom = (*meterWriter)(nil)
)

// longestAbort bounds how long an upstream works for a client that is gone.
const longestAbort = 5 * time.Minute

// outlive is the request for an upstream that does not notice that the client
// leaves, until the request is settled.
func (w *meterWriter) outlive(r *http.Request) (*http.Request, func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(r.Context(), func() {
		limit := time.NewTimer(longestAbort)
		defer limit.Stop()
		select {
		case <-w.over:
		case <-limit.C:
		case <-ctx.Done():
		}
		cancel()
	})
	return r.WithContext(ctx), func() {
		stop()
		cancel()
	}
}
