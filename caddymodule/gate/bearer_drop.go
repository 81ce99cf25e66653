package gate

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// dropBearer removes an Authorization header that an upstream could read as a
// bearer token, however spelt. Other schemes stay, unless they come in
// company: of several headers nobody knows which one an upstream takes.
func dropBearer(h http.Header) {
	values := h["Authorization"]
	if len(values) == 0 {
		return
	}
	drop := len(values) > 1
	for part := range strings.SplitSeq(values[0], ",") {
		drop = drop || hasBearerScheme(part)
	}
	if drop {
		delete(h, "Authorization")
	}
}

// hasBearerScheme is as lenient as any upstream: in the letters' case, and in
// what it takes for a blank.
func hasBearerScheme(credentials string) bool {
	const scheme = "bearer"
	between := func(r rune) bool { return !httpguts.IsTokenRune(r) }
	credentials = strings.TrimLeftFunc(credentials, between)
	return len(credentials) >= len(scheme) && strings.EqualFold(credentials[:len(scheme)], scheme) &&
		(len(credentials) == len(scheme) || between(rune(credentials[len(scheme)])))
}
