package site

import (
	"io"
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/guard"
)

// identityPrefix is what every identity header starts with once its letters
// are small and every other sign is a dash.
const identityPrefix = "x-mana-"

// namesIdentity reports whether an upstream could read the header name as one
// of the trusted headers. CGI, WSGI, PHP and their kin map letters to one case
// and the signs "_", "." and others to the same character as "-".
func namesIdentity(name string) bool {
	if len(name) < len(identityPrefix) {
		return false
	}
	for i := range len(identityPrefix) {
		if fold(name[i]) != identityPrefix[i] {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return '-'
}

// StripIdentity removes every alias of an identity header from the request:
// from its header, from its trailer, now and when the body has been read, and
// from the names that Connection declares hop-by-hop (RFC 9110, section
// 7.6.1), by which a client could make a proxy drop what the gate wrote.
func StripIdentity(r *http.Request) {
	for name := range r.Header {
		if namesIdentity(name) {
			delete(r.Header, name)
		}
	}
	if values, ok := r.Header["Connection"]; ok {
		stripConnection(r.Header, values)
	}
	if len(r.Trailer) > 0 {
		stripTrailer(r.Trailer)
		if r.Body != nil {
			r.Body = &trailerStripper{ReadCloser: r.Body, trailer: r.Trailer}
		}
	}
}

func stripTrailer(trailer http.Header) {
	for name := range trailer {
		if namesTrusted(name) || !guard.MayTrail(name) {
			delete(trailer, name)
		}
	}
}

// stripConnection drops the tokens that name a header the gate writes. It
// leaves a header without such tokens as it came.
func stripConnection(h http.Header, values []string) {
	changed := false
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			changed = changed || namesTrusted(strings.TrimSpace(token))
		}
	}
	if !changed {
		return
	}
	var kept []string
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); !namesTrusted(token) {
				kept = append(kept, token)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Connection")
	} else {
		h["Connection"] = []string{strings.Join(kept, ", ")}
	}
}

// namesTrusted reports whether the name is, or could be read as, a header that
// the gate writes.
func namesTrusted(name string) bool {
	return namesIdentity(name) || strings.EqualFold(name, "Authorization")
}

// trailerStripper strips trailers when they arrive: net/http fills the
// request's map, undeclared names included, in the Read that meets the end.
type trailerStripper struct {
	io.ReadCloser
	trailer http.Header
}

func (b *trailerStripper) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		stripTrailer(b.trailer)
	}
	return n, err
}
