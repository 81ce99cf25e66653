package guard

import (
	"errors"
	"net/http"
)

// ErrTarget means a request target that an upstream would read otherwise than
// the edge has.
var ErrTarget = errors.New("invalid request target")

// checkTarget refuses a target that is neither a path nor a URL with one (RFC
// 9112, section 3.2), and a query that would end the target early where it is
// written into a request line: HTTP/2 and HTTP/3 carry blanks in it. An empty
// path becomes the "/" that upstreams get for it.
func checkTarget(r *http.Request) error {
	u := r.URL
	switch {
	case u.Opaque != "":
		return ErrTarget
	case u.Path == "":
		u.Path, u.RawPath = "/", ""
	case u.Path[0] == '/':
	case u.Path == "*" && r.Method == http.MethodOptions:
	default:
		return ErrTarget
	}
	for i := range len(u.RawQuery) {
		if c := u.RawQuery[i]; c <= ' ' || c == 0x7f {
			return ErrTarget
		}
	}
	return nil
}
