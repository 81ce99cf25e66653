package principal

import (
	"slices"
	"strings"
)

// Scopes are what somebody may do who may not do everything, joined by commas:
// each a word of [ValidScope]. It is the value of the header X-Mana-Scopes.
type Scopes string

// MaxScope is how long a scope may be, in bytes.
const MaxScope = 64

// ValidScope reports whether a text is a scope: a scope-token of RFC 6749
// (section 3.3) that needs no quoting anywhere, of ASCII letters, digits and
// the signs : . _ - / *
func ValidScope(text string) bool {
	if text == "" || len(text) > MaxScope {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(":._-/*", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// ScopesOf are the given scopes, each once, in the order given. What is no scope
// is left out: nobody can ask for it.
func ScopesOf(list ...string) Scopes {
	var scopes []string
	for _, scope := range list {
		if ValidScope(scope) && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return Scopes(strings.Join(scopes, ","))
}

// List are the scopes one by one, nil where there are none.
func (s Scopes) List() []string {
	if s == "" {
		return nil
	}
	return strings.Split(string(s), ",")
}

// Has reports whether the scope is among them, spelt the same.
func (s Scopes) Has(scope string) bool { return scope != "" && slices.Contains(s.List(), scope) }

// HasAll reports whether all of the scopes are among them.
func (s Scopes) HasAll(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !s.Has(scope) })
}
