package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"mana.how/edge/authcore"
)

// errNoToken means that the client shows nothing to be known by.
var errNoToken = errors.New("no token provided")

// bearerToken reads the access token of an Authorization header. It is
// strict: one header, the scheme spelt "Bearer", one blank, one token of
// visible ASCII. Anything else is no token, ok false.
func bearerToken(h http.Header) (token string, ok bool) {
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

// cookieNames are the cookies that are the edge's own and never reach an
// upstream: whoever holds the SSO cookie is the user on every sub-domain.
type cookieNames []string

func newCookieNames(c authcore.Cookies) cookieNames {
	return cookieNames{plainCookieName(c.Name()), plainCookieName(c.DeviceName()), loopCookie}
}

// plainCookieName drops the prefixes of RFC 6265bis, section 4.1.3: a signed
// value is as good under the plain name as under the prefixed one.
func plainCookieName(name string) string {
	name = strings.TrimPrefix(name, "__Secure-")
	return strings.TrimPrefix(name, "__Host-")
}

func (n cookieNames) has(name string) bool {
	name = plainCookieName(name)
	for _, own := range n {
		if name == own {
			return true
		}
	}
	return false
}

// take removes the edge's own cookies from the request and tells whether there
// were any. All other cookies stay byte for byte. The values in the header are
// replaced, not changed.
func (n cookieNames) take(h http.Header) (found bool) {
	values := h["Cookie"]
	for _, value := range values {
		for pair := range strings.SplitSeq(value, ";") {
			found = found || n.has(pairName(pair))
		}
	}
	if !found {
		return false
	}
	kept := make([]string, 0, len(values))
	for _, value := range values {
		if value = n.without(value); value != "" {
			kept = append(kept, value)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
	return true
}

func (n cookieNames) without(value string) string {
	var kept strings.Builder
	for more, first := true, true; more; {
		var pair string
		pair, value, more = strings.Cut(value, ";")
		if n.has(pairName(pair)) {
			continue
		}
		if !first {
			kept.WriteByte(';')
		}
		first = false
		kept.WriteString(pair)
	}
	return strings.TrimLeft(kept.String(), " ")
}

func pairName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return strings.Trim(name, " \t")
}

// clientCookies are the Cookie header values as the client sent them, also
// behind a gate that took the edge's own cookies out. It is for handlers of
// this module that read those cookies, never for an upstream.
func clientCookies(r *http.Request) []string {
	if values := passageOf(r.Context()).clientCookies(); values != nil {
		return values
	}
	return r.Header["Cookie"]
}
