package guard

import (
	"net/http"
	"strings"
)

// MakePrivate keeps a response out of shared caches (RFC 9111, section 5.2.2.7),
// whatever the app says of it: they would give one user's answer to others.
func MakePrivate(h http.Header) {
	for name := range h {
		if forCachesOnly(name) {
			delete(h, name)
		}
	}
	var kept []string
	private := false
	for _, value := range h["Cache-Control"] {
		for directive := range directives(value) {
			switch name, _, _ := strings.Cut(directive, "="); strings.ToLower(strings.TrimSpace(name)) {
			case "public", "s-maxage", "private", "":
				// private with the names of fields would keep those fields back only
			case "no-store":
				private = true
				kept = append(kept, directive)
			default:
				kept = append(kept, directive)
			}
		}
	}
	if !private {
		kept = append([]string{"private"}, kept...)
	}
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
}

// IsPrivate reports whether no shared cache may keep a response with the header.
func IsPrivate(h http.Header) bool {
	for name := range h {
		if forCachesOnly(name) {
			return false
		}
	}
	private := false
	for _, value := range h["Cache-Control"] {
		for directive := range directives(value) {
			switch name, _, _ := strings.Cut(directive, "="); strings.ToLower(strings.TrimSpace(name)) {
			case "public", "s-maxage":
				return false
			case "no-store":
				private = true
			case "private":
				private = private || !strings.Contains(directive, "=")
			}
		}
	}
	return private
}

// forCachesOnly reports whether the field tells shared caches, and nobody else,
// what to keep: CDN-Cache-Control (RFC 9213) and those of single vendors.
func forCachesOnly(name string) bool {
	if len(name) < len("Edge-Control") {
		return false
	}
	switch name[0] {
	case 'A', 'C', 'E', 'F', 'N', 'S', 'V', 'X':
	default:
		return false
	}
	switch name {
	case "Surrogate-Control", "X-Accel-Expires", "Edge-Control", "Akamai-Cache-Control":
		return true
	}
	return strings.HasSuffix(name, "Cdn-Cache-Control")
}

// directives are those of a Cache-Control value, in which commas may be quoted.
func directives(value string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := range len(value) {
			switch value[i] {
			case '"':
				quoted = !quoted
			case ',':
				if !quoted {
					if !yield(strings.TrimSpace(value[start:i])) {
						return
					}
					start = i + 1
				}
			}
		}
		yield(strings.TrimSpace(value[start:]))
	}
}
