package site

import (
	"io"
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/guard"
)

// What the names of the headers by which the edge talks to apps start with, once their
// letters are small and every other sign is a dash.
const (
	identityPrefix = "x-mana-"
	creditsPrefix  = "mana-credits-"
)

// namesIdentity reports whether an upstream could read the header name as one
// of the trusted headers, or as one of the others by which the site tells its
// app who somebody is.
func namesIdentity(name string, others []string) bool {
	if guard.HasNamePrefix(name, identityPrefix) || guard.HasNamePrefix(name, creditsPrefix) {
		return true
	}
	for _, other := range others {
		if guard.SameName(name, other) {
			return true
		}
	}
	return false
}

// StripIdentity removes every alias of an identity header from the request:
// from its header, from its trailer, now and when the body has been read, and
// from the names that Connection declares hop-by-hop (RFC 9110, section
// 7.6.1), by which a client could make a proxy drop what the gate wrote. others
// are more names of such headers, as [guard.FoldName] writes them.
func StripIdentity(r *http.Request, others ...string) {
	for name := range r.Header {
		if namesIdentity(name, others) {
			delete(r.Header, name)
		}
	}
	if values, ok := r.Header["Connection"]; ok {
		stripConnection(r.Header, values, others)
	}
	if len(r.Trailer) > 0 {
		stripTrailer(r.Trailer, others)
		if r.Body != nil {
			r.Body = &trailerStripper{ReadCloser: r.Body, trailer: r.Trailer, others: others}
		}
	}
}

func stripTrailer(trailer http.Header, others []string) {
	for name := range trailer {
		if namesTrusted(name, others) || !guard.MayTrail(name) {
			delete(trailer, name)
		}
	}
}

// stripConnection drops the tokens that name a header the gate writes. It
// leaves a header without such tokens as it came.
func stripConnection(h http.Header, values, others []string) {
	changed := false
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			changed = changed || namesTrusted(strings.TrimSpace(token), others)
		}
	}
	if !changed {
		return
	}
	var kept []string
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); !namesTrusted(token, others) {
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
func namesTrusted(name string, others []string) bool {
	return namesIdentity(name, others) || strings.EqualFold(name, "Authorization")
}

// trailerStripper strips trailers when they arrive: net/http fills the
// request's map, undeclared names included, in the Read that meets the end.
type trailerStripper struct {
	io.ReadCloser
	trailer http.Header
	others  []string
}

func (b *trailerStripper) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		stripTrailer(b.trailer, b.others)
	}
	return n, err
}
