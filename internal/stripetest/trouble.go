package stripetest

import (
	"net/http"
	"time"
)

// trouble is what awaits the next requests of a kind.
type trouble struct {
	method, prefix string
	left           int
	kind           troubleKind
	status         int
}

type troubleKind int

const (
	refuse troubleKind = iota
	lose
	hang
)

// FailNext answers the next requests of a method, "" for any, whose path
// begins so with this status, and carries none of them out. A client that
// repeats failed requests uses up one of times with every try; from 500 on the
// answer is remembered under the request's idempotency key, as Stripe does.
func (s *Server) FailNext(method, pathPrefix string, status, times int) {
	s.addTrouble(trouble{method: method, prefix: pathPrefix, kind: refuse, status: status, left: times})
}

// LoseNext carries the next such requests out and breaks the connection off in
// the middle of the answer.
func (s *Server) LoseNext(method, pathPrefix string, times int) {
	s.addTrouble(trouble{method: method, prefix: pathPrefix, kind: lose, left: times})
}

// HangNext neither carries the next such requests out nor answers them, until
// the client gives up.
func (s *Server) HangNext(method, pathPrefix string, times int) {
	s.addTrouble(trouble{method: method, prefix: pathPrefix, kind: hang, left: times})
}

// Delay holds every request from now on for so long before it is carried out.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

func (s *Server) addTrouble(t trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.troubles = append(s.troubles, &t)
}

// nextTrouble is the oldest one that fits the request, or nil.
func (s *Server) nextTrouble(r Request) *trouble {
	for _, t := range s.troubles {
		if t.left > 0 && r.is(t.method, t.prefix) {
			t.left--
			return t
		}
	}
	return nil
}

// breakOff ends the connection after the head of an answer: without a head
// net/http would repeat a request that has an Idempotency-Key by itself.
func breakOff(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1024")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// discard takes an answer that never arrives.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
