package origin

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	maxTargetLength = 4 << 10
	maxDecodings    = 4
)

// ReturnTarget reads where a user wants to go after signing in: an absolute
// http or https URL of a trusted origin, or an absolute path, which is one of
// the base URL. It returns the absolute URL, in ASCII and written anew, so
// that no browser reads it otherwise than this did; send the user there, not
// to raw. What another parser might take for another place is refused: a
// user, a backslash, a control character, a path that begins with two slashes
// or holds "..", also where they are percent-encoded.
func (o List) ReturnTarget(raw string) (string, bool) {
	if raw == "" || len(raw) > maxTargetLength || !utf8.ValidString(raw) || o.base.host == "" ||
		strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\\' }) {
		return "", false
	}
	at, rest := o.base, raw
	if raw[0] != '/' {
		scheme, after, found := strings.Cut(raw, "://")
		if !found {
			return "", false
		}
		authority := after
		if end := strings.IndexAny(after, "/?#"); end >= 0 {
			authority = after[:end]
		}
		var ok bool
		if at, ok = parseOrigin(scheme + "://" + authority); !ok || !o.trusts(at) {
			return "", false
		}
		rest = after[len(authority):]
	}
	path := rest
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		path = rest[:end]
	}
	if !plainPath(path) {
		return "", false
	}
	if path == "" {
		rest = "/" + rest
	}
	target := at.String() + escapeTarget(rest)
	if len(target) > maxTargetLength {
		return "", false
	}
	return target, true
}

// plainPath reports whether a path means the same to everyone, however often
// it gets decoded on its way.
func plainPath(path string) bool {
	for depth := range maxDecodings {
		if strings.HasPrefix(path, "//") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
			return false
		}
		for segment := range strings.SplitSeq(path, "/") {
			// Some servers drop what follows a semicolon: "/..;/".
			name, _, _ := strings.Cut(segment, ";")
			if name == "." || name == ".." {
				return false
			}
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return depth > 0 // a literal percent sign
		}
		if decoded == path {
			return true
		}
		path = decoded
	}
	return false
}

// escapeTarget percent-encodes what may not stand in a URL or could end an
// HTML attribute, a percent sign that escapes nothing included.
func escapeTarget(rest string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(rest) {
		c := rest[i]
		plain := c > ' ' && c < 0x7f && strings.IndexByte("\"<>`{}|^'", c) < 0
		if c == '%' {
			plain = i+2 < len(rest) && isHex(rest[i+1]) && isHex(rest[i+2])
		}
		if plain {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
