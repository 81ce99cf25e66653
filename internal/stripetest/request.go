package stripetest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Request is one that reached the server. A client's own repetitions are
// requests of their own.
type Request struct {
	Method string
	Path   string
	// Params are those of the query or the body, as on the wire.
	Params         url.Values
	IdempotencyKey string
	// At is the server's clock.
	At time.Time
	// Status is 0 while there is no answer, or if it was lost.
	Status int
	// Replayed is set where the idempotency key's first answer was given.
	Replayed bool
}

// is reports whether the request is one of this method and path; an empty
// method is any.
func (r Request) is(method, pathPrefix string) bool {
	return (method == "" || method == r.Method) && strings.HasPrefix(r.Path, pathPrefix)
}

// Requests are all requests so far, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count counts the requests of a method, "" for any, whose path begins so.
func (s *Server) Count(method, pathPrefix string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.is(method, pathPrefix) {
			n++
		}
	}
	return n
}

// OnRequest runs a hook when a request has arrived and before it is carried
// out. No lock is held: the hook may use verbs, and so make what happens just
// before a fetch. Nil takes the hook away.
func (s *Server) OnRequest(hook func(Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// arrival is a request on its way.
type arrival struct {
	index   int
	id      string
	request Request
	hook    func(Request)
	delay   time.Duration
	trouble *trouble
}

// arrive logs a request and finds what is in store for it.
func (s *Server) arrive(r *http.Request) arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := arrival{
		index: len(s.requests), id: s.name("request"), hook: s.hook, delay: s.delay,
		request: Request{
			Method: r.Method, Path: r.URL.Path, Params: r.Form,
			IdempotencyKey: r.Header.Get("Idempotency-Key"), At: s.now,
		},
	}
	s.requests = append(s.requests, a.request)
	a.trouble = s.nextTrouble(a.request)
	return a
}

// leave logs how a request was answered.
func (s *Server) leave(a arrival, w *recorder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[a.index].Status = w.status
	s.requests[a.index].Replayed = w.Header().Get("Idempotent-Replayed") != ""
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
