package caddymodule

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"mana.how/edge/authcore"
)

// The sealed headers, in canonical form. Only the gate writes them.
const (
	headerUserID    = "X-Mana-User-Id"
	headerEmail     = "X-Mana-Email"
	headerRole      = "X-Mana-Role"
	headerSessionID = "X-Mana-Session-Id"
	headerOrgID     = "X-Mana-Org-Id"
)

// identityPrefix is what every identity header starts with once its letters
// are small and every other sign is a dash.
const identityPrefix = "x-mana-"

// namesIdentity tells whether an upstream could read the header name as one
// of the sealed headers. CGI, WSGI, PHP and their kin map letters to one case
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

// stripIdentity removes every alias of an identity header from the request:
// from its header, from its trailer, now and when the body has been read, and
// from the names that Connection declares hop-by-hop (RFC 9110, section
// 7.6.1), by which a client could make a proxy drop what the gate sealed. And
// it keeps the upstream from being asked to speak another protocol that can
// carry identity headers.
func stripIdentity(r *http.Request) {
	for name := range r.Header {
		if namesIdentity(name) {
			delete(r.Header, name)
		}
	}
	if values, ok := r.Header["Connection"]; ok {
		stripConnection(r.Header, values)
	}
	stripUpgrade(r.Header)
	if len(r.Trailer) > 0 {
		stripTrailer(r.Trailer)
		if r.Body != nil {
			r.Body = &trailerStripper{ReadCloser: r.Body, trailer: r.Trailer}
		}
	}
}

// stripUpgrade leaves no upgrade but one to a WebSocket. Whoever switches an
// upstream to HTTP/2 in clear or to TLS talks to it through the connection as
// he likes, past every gate. A server may ignore an upgrade (RFC 9110, section
// 7.8), so the request goes on without.
func stripUpgrade(h http.Header) {
	if values, ok := h["Upgrade"]; ok && (len(values) != 1 || !strings.EqualFold(values[0], "websocket")) {
		delete(h, "Upgrade")
		delete(h, "Http2-Settings")
	}
}

func stripTrailer(trailer http.Header) {
	for name := range trailer {
		if namesSealed(name) {
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
			changed = changed || namesSealed(strings.TrimSpace(token))
		}
	}
	if !changed {
		return
	}
	var kept []string
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); !namesSealed(token) {
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

// namesSealed tells whether the name is, or could be read as, a header that
// the gate writes.
func namesSealed(name string) bool {
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

// identity is who a request acts for, as it is told to the upstream: the
// values of the sealed headers, empty where unknown.
type identity [5]string

// The sealed headers, and the placeholders {http.auth.user.…} of the same.
var (
	identityHeaders      = [len(identity{})]string{headerUserID, headerEmail, headerRole, headerSessionID, headerOrgID}
	identityPlaceholders = [len(identity{})]string{"id", "email", "role", "session", "org"}
)

func identityOf(c *authcore.Claims) identity {
	return identity{
		headerSafe(c.Subject), headerSafe(c.Email), headerSafe(string(c.Role)), headerSafe(c.SessionID), headerSafe(c.OrganizationID),
	}
}

// seal writes the identity headers; what is unknown has no header. The
// header must have been stripped before.
func (id *identity) seal(h http.Header) {
	for i, name := range identityHeaders {
		if id[i] != "" {
			h[name] = id[i : i+1 : i+1]
		}
	}
}

// placeholder is a [caddy.ReplacerFunc]: it makes {http.auth.user.*} known,
// once there is a user.
func (id *identity) placeholder(key string) (any, bool) {
	field, ok := strings.CutPrefix(key, "http.auth.user.")
	if !ok || id[0] == "" {
		return nil, false
	}
	for i, name := range identityPlaceholders {
		if field == name {
			return id[i], true
		}
	}
	return nil, false
}

// guestPlaceholder is a [caddy.ReplacerFunc]: it makes {http.auth.user.*} empty
// for guests. Unknown placeholders stay as they are written, and an app may take
// the name in a header for somebody's.
func guestPlaceholder(key string) (any, bool) {
	field, ok := strings.CutPrefix(key, "http.auth.user.")
	if !ok || !slices.Contains(identityPlaceholders[:], field) {
		return nil, false
	}
	return "", true
}

// headerSafe makes a value fit for a header field (RFC 9110, section 5.5):
// everything but visible ASCII is percent-encoded, and so is "%", so that two
// values never become one. Decode it with any URL decoder.
func headerSafe(value string) string {
	const hex = "0123456789ABCDEF"
	visible := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }
	i := 0
	for i < len(value) && visible(value[i]) {
		i++
	}
	if i == len(value) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; visible(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
