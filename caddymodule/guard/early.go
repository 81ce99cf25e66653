package guard

import (
	"errors"
	"net/http"
)

// ErrTooEarly means early data, which anyone who recorded it may have sent
// again, where a repetition does harm.
var ErrTooEarly = errors.New("too early")

// Early reports whether the request came as early data of TLS (RFC 8470), or
// came so to a trusted proxy, which says so in Early-Data. What goes on carries
// that header (section 5.1); what others say in it counts for nothing, and does
// not go on.
func Early(r *http.Request, trusted bool) bool {
	_, told := r.Header["Early-Data"]
	switch {
	case r.TLS != nil && !r.TLS.HandshakeComplete, told && trusted:
		r.Header["Early-Data"] = []string{"1"}
		return true
	case told:
		delete(r.Header, "Early-Data")
	}
	return false
}

// IsSafe reports whether the request asks for no more than an answer (RFC 9110,
// section 9.2.1). A tunnel or another protocol can ask for anything.
func IsSafe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return len(r.Header["Upgrade"]) == 0
	}
	return false
}
