package meter

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// errCut ends the copying of a stream whose credits are used up.
var errCut = errors.New("the credits of the stream are used up")

// askReadable has the upstream answer so that the meter can read it: compressed by gzip
// at most, or not at all where a stream may have to be ended.
func (m *Meter) askReadable(r *http.Request, by terms) {
	const field = "Accept-Encoding"
	asked, ok := r.Header[field]
	switch {
	case by.hold < by.price:
		r.Header[field] = []string{"identity"}
	case ok:
		var kept []string
		for coding := range strings.SplitSeq(strings.Join(asked, ","), ",") {
			name, _, _ := strings.Cut(coding, ";")
			if name = strings.ToLower(strings.TrimSpace(name)); slices.Contains([]string{"gzip", "x-gzip", "identity"}, name) {
				kept = append(kept, strings.TrimSpace(coding))
			}
		}
		if kept == nil {
			kept = []string{"identity"}
		}
		r.Header[field] = []string{strings.Join(kept, ", ")}
	}
}

// readUsage reports whether the response tells in its body what it used, which is read
// from now on.
func (w *meterWriter) readUsage(h http.Header) bool {
	if w.m.CostTokens == nil || w.r.Method == http.MethodHead {
		return false
	}
	w.usage = tokens.NewReader(h)
	return w.usage != nil
}

// used is what the response said, when it is over.
func (w *meterWriter) used() statement {
	s := statement{cut: w.cut}
	if w.usage == nil {
		return s
	}
	w.usage.Close()
	if u, ok := w.usage.Usage(); ok {
		s.tokens = &u
	}
	return s
}

// writeRead passes on what is read. A stream is read before it is passed on, and ends
// behind the event that costs more than there is.
func (w *meterWriter) writeRead(p []byte) (int, error) {
	if w.cut {
		return 0, errCut
	}
	if w.extension == nil || !w.usage.Streams() {
		n, err := w.ResponseWriter.Write(p)
		_, _ = w.usage.Write(p)
		return n, err
	}
	for read := 0; read < len(p); {
		n, ends := w.usage.Next(p[read:])
		if read += n; !ends {
			continue
		}
		if refusal := w.extension.cover(w.terms.rates.Cost(w.usage.SoFar())); refusal != nil {
			return w.cutOff(p[:read], refusal)
		}
	}
	return w.ResponseWriter.Write(p)
}

// cutOff passes on the last of a stream, and an event that says why it is.
func (w *meterWriter) cutOff(last []byte, refusal error) (int, error) {
	w.cut = true
	n, err := w.ResponseWriter.Write(last)
	if err != nil {
		return n, err
	}
	if _, err = w.ResponseWriter.Write(w.m.lastEvent(w.r, refusal)); err != nil {
		return n, err
	}
	return n, errors.Join(errCut, http.NewResponseController(w.ResponseWriter).Flush())
}

// lastEvent is a server-sent event that is an error to clients of OpenAI and Anthropic,
// and holds the error body of a 402. The line break before it ends one that came in
// half.
func (m *Meter) lastEvent(r *http.Request, refusal error) []byte {
	e := refuseNoOrganization
	var short *creditcore.InsufficientError
	if errors.As(refusal, &short) {
		e = m.insufficient(refusal, short)
	}
	body := e.Body(request.Original(r).URL.EscapedPath(), time.Now())
	type problem struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Details any    `json:"details,omitempty"`
	}
	raw, err := json.Marshal(struct {
		Type       string  `json:"type"`
		Error      problem `json:"error"`
		StatusCode int     `json:"statusCode"`
		Code       string  `json:"code"`
		Message    any     `json:"message"`
		Details    any     `json:"details,omitempty"`
	}{"error", problem{strings.ToLower(e.Code), e.Code, e.Message, e.Details}, body.StatusCode, body.Code, body.Message, body.Details})
	if err != nil {
		raw = []byte(`{"type":"error"}`)
	}
	return slices.Concat([]byte("\nevent: error\ndata: "), raw, []byte("\n\n"))
}
