package request

import (
	"errors"
	"net/http"
	"strings"
)

// ErrNoToken means that the client shows nothing to be known by.
var ErrNoToken = errors.New("no token provided")

// Bearer reads the token of an Authorization header (RFC 6750, section 2.1).
// It is strict, so that no upstream reads another token out of the same header:
// one header, the scheme spelt "Bearer", one blank, one token of visible ASCII
// without a comma. Anything else is no token, ok false.
func Bearer(h http.Header) (token string, ok bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	token, ok = strings.CutPrefix(values[0], "Bearer ")
	if !ok || token == "" {
		return "", false
	}
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c >= 0x7f || c == ',' {
			return "", false
		}
	}
	return token, true
}
