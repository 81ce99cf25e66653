package tokens

import (
	"io"
	"mime"
	"net/http"
	"strings"
)

// Reader reads what an answer says that it used. It is used by one goroutine.
type Reader struct {
	text   textReader
	gunzip *gunzip // nil for an answer that is not compressed
}

// textReader is the state of a [Reader] in an answer that is not compressed.
type textReader struct {
	events *events // nil for JSON
	value  scanner
	all    report
	inAll  bool  // what was said is for all of the answer
	lies   bool  // a usage object does
	since  int64 // events since the last usage object
}

// NewReader is a reader of the answer with that header, nil where it cannot be read:
// it is neither JSON nor a stream of events, or compressed in another way than gzip.
func NewReader(h http.Header) *Reader {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil
	}
	r := new(Reader)
	r.text.value.reset()
	switch {
	case media == "text/event-stream":
		r.text.events = new(events)
	case media != "application/json" && !strings.HasSuffix(media, "+json"):
		return nil
	}
	switch coding := strings.Join(h["Content-Encoding"], ","); strings.ToLower(coding) {
	case "", "identity":
	case "gzip", "x-gzip":
		r.gunzip = newGunzip(&r.text)
	default:
		return nil
	}
	return r
}

// Streams reports whether the answer is a stream of events that can be cut between two
// of them: not one that is compressed.
func (r *Reader) Streams() bool { return r.text.events != nil && r.gunzip == nil }

// Write reads on. It never fails.
func (r *Reader) Write(p []byte) (int, error) {
	if r.gunzip != nil {
		return r.gunzip.Write(p)
	}
	return r.text.Write(p)
}

// Next reads an answer that [Reader.Streams] to the end of an event, or all of p, and
// reports how much it has read, and whether an event ends there.
func (r *Reader) Next(p []byte) (n int, ends bool) { return r.text.next(p) }

// Close says that the answer is over. The other methods but Usage may not be called
// any more.
func (r *Reader) Close() {
	if r.gunzip != nil {
		r.gunzip.Close()
	}
	r.text.close()
}

// Usage is what the answer used, after Close. It reports false where the answer has
// not said so to its end; where a number of a usage object is no whole number from 0 to
// [Most] written in digits, or stands there twice; where an object has two usage
// objects; and where more was read from a cache than went in. Of several events the last
// to say a number counts.
func (r *Reader) Usage() (Usage, bool) {
	u, ok := r.text.all.usage()
	return u, ok && r.text.inAll && !r.text.lies
}

// SoFar is what a stream has used by now: what it has said, and a token for each event
// since.
func (r *Reader) SoFar() Usage {
	u, _ := r.text.all.usage()
	u.Input = max(0, u.Input)
	u.Output += r.text.since
	return u
}

// Write implements [io.Writer].
func (t *textReader) Write(p []byte) (int, error) {
	if t.events == nil {
		t.value.write(p)
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		n, _ := t.next(rest)
		rest = rest[n:]
	}
	return len(p), nil
}

// next reads to the end of an event.
func (t *textReader) next(p []byte) (n int, ends bool) {
	n, ends = t.events.next(p, t.value.write)
	if ends {
		t.endEvent()
	}
	return n, ends
}

// endEvent takes down what an event said.
func (t *textReader) endEvent() {
	t.since++
	t.endValue()
	t.value.reset()
}

// endValue takes down what a value said. What is no JSON says nothing, unless it broke
// off in a usage object.
func (t *textReader) endValue() {
	v := &t.value
	if v.phase != over && v.phase != broken && v.counting() {
		v.fail()
	}
	if t.lies = t.lies || v.lies; v.phase == over && v.usages > 0 {
		t.all.merge(v.report)
		t.inAll, t.since = t.inAll || !v.sofar, 0
	}
}

func (t *textReader) close() {
	if t.events == nil || t.events.data {
		t.endValue()
	}
}

// Interface guards
var (
	_ io.Writer = (*Reader)(nil)
	_ io.Writer = (*textReader)(nil)
)
