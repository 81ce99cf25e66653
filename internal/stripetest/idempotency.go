package stripetest

import (
	"net/http"
	"time"
)

// answerLife is how long a key is remembered.
const answerLife = 24 * time.Hour

// answer is the first one under an idempotency key.
type answer struct {
	method, path, params string
	status               int
	body                 []byte
	request              string
	at                   time.Time
}

// cause is the API call that makes an event; empty for a verb.
type cause struct{ request, key string }

// replaying runs a call under its Idempotency-Key and writes its answer. The
// server is locked.
func (s *Server) replaying(w http.ResponseWriter, r *http.Request, run func() (object, *refusal)) {
	this := answer{
		method: r.Method, path: r.URL.Path, params: r.Form.Encode(),
		request: w.Header().Get("Request-Id"), at: s.now,
	}
	key := r.Header.Get("Idempotency-Key")
	if r.Method == http.MethodGet {
		key = ""
	}
	if key != "" {
		w.Header().Set("Idempotency-Key", key)
		if first, ok := s.answers[key]; ok && s.now.Sub(first.at) < answerLife {
			if refused := first.conflicts(this, key); refused != nil {
				write(w, refused.status, refused.body())
				return
			}
			w.Header().Set("Idempotent-Replayed", "true")
			w.Header().Set("Original-Request", first.request)
			write(w, first.status, first.body)
			return
		}
	}
	s.cause = cause{request: this.request, key: key}
	done, refused := run()
	s.cause = cause{}
	if refused != nil {
		this.status, this.body = refused.status, refused.body()
	} else {
		this.status, this.body = http.StatusOK, encode(done)
	}
	if key != "" && this.status != http.StatusBadRequest && this.status != http.StatusNotFound {
		s.answers[key] = this
	}
	write(w, this.status, this.body)
}

// conflicts refuses a key that was first used for something else.
func (a answer) conflicts(b answer, key string) *refusal {
	refused := &refusal{status: http.StatusBadRequest, kind: "idempotency_error"}
	switch {
	case a.method != b.method || a.path != b.path:
		refused.message = "Keys for idempotent requests can only be used for the same endpoint they were first used for ('" +
			a.path + "' vs '" + b.path + "'). Try using a key other than '" + key + "' if you meant to execute a different request."
	case a.params != b.params:
		refused.message = "Keys for idempotent requests can only be used with the same parameters they were first used with. " +
			"Try using a key other than '" + key + "' if you meant to execute a different request."
	default:
		return nil
	}
	return refused
}
