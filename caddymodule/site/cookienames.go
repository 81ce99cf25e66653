package site

import (
	"net/http"
	"strings"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/caddymodule/pages"
)

// LoopCookie counts how often a browser was sent to the sign-in page for one
// URL. It has power over nothing but the redirect of its own browser.
const LoopCookie = "mana.login_loop"

// CookieNames are the cookies that are the edge's own and never reach an
// upstream: whoever holds the SSO cookie is the user on every sub-domain.
type CookieNames []string

// NewCookieNames are the cookies of one edge.
func NewCookieNames(c cookie.Codec) CookieNames {
	names := CookieNames{PlainCookieName(c.Name()), PlainCookieName(c.DeviceName()), LoopCookie, pages.LanguageCookie, PlainCookieName(c.GuestName())}
	for _, companion := range c.Companions() {
		names = append(names, PlainCookieName(companion.Name()))
	}
	return names
}

// PlainCookieName drops the prefixes of RFC 6265bis, section 4.1.3: a signed
// value is as good under the plain name as under the prefixed one.
func PlainCookieName(name string) string {
	name = strings.TrimPrefix(name, "__Secure-")
	return strings.TrimPrefix(name, "__Host-")
}

func (n CookieNames) has(name string) bool {
	name = PlainCookieName(name)
	for _, own := range n {
		if name == own {
			return true
		}
	}
	return false
}

// hasFold is has for names whose prefixes are gone. Browsers keep the case of a
// name, but nobody else has use for one that differs in nothing else.
func (n CookieNames) hasFold(name string) bool {
	for _, own := range n {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

// Take removes the edge's own cookies from the request and reports whether there
// were any. All other cookies stay byte for byte. The values in the header are
// replaced, not changed.
func (n CookieNames) Take(h http.Header) (found bool) {
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

func (n CookieNames) without(value string) string {
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
