package guard

import (
	"errors"
	"net/http"
	"strings"
)

// ErrPath means a path that an app may read as another than the edge has matched.
var ErrPath = errors.New("invalid path")

// rounds is how often an app, with what stands between, may decode a path.
const rounds = 4

// CheckPath refuses a path with a dot-segment (RFC 3986, section 3.3) in any
// disguise: encoded, more than once too, with backslashes for slashes, with
// path parameters. An encoded slash without one passes.
//
// Where a matcher decides who may ask for a path, strict is true, and other
// spellings of a path count too: `;` and backslash, raw or encoded, and signs
// encoded twice that nobody needs to encode at all. It is asked only about
// paths that have any of these.
func CheckPath(r *http.Request, strict func(*http.Request) bool) error {
	sent := r.RequestURI
	if i := strings.IndexByte(sent, '?'); i >= 0 {
		sent = sent[:i]
	}
	if err := checkPath(r, sent, strict); err != nil || r.URL.Path == sent {
		return err
	}
	return checkPath(r, r.URL.EscapedPath(), strict) // it has been rewritten, or holds escapes
}

func checkPath(r *http.Request, path string, strict func(*http.Request) bool) error {
	if !remarkable(path) {
		return nil
	}
	spelt := false
	for round := range rounds {
		segments := strings.FieldsFunc(fold(path), func(c rune) bool { return c == '/' || c == '\\' })
		for _, segment := range segments {
			if isDotSegment(segment) {
				return ErrPath
			}
		}
		spelt = spelt || strings.ContainsAny(path, `;\`)
		decoded, plain := unescape(path)
		spelt = spelt || round > 0 && plain
		if decoded == path {
			break
		}
		path = decoded
	}
	if spelt && strict != nil && strict(r) {
		return ErrPath
	}
	return nil
}

// remarkable reports whether the path can be anything but what it seems.
func remarkable(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c == '%' || c == ';' || c == '\\' || c >= 0x80:
			return true
		case c == '.' && (i == 0 || path[i-1] == '/'):
			return true
		}
	}
	return false
}

// isDotSegment ignores what apps cut off: path parameters, and the blanks, NULs
// and controls at the end that some file systems do not keep.
func isDotSegment(segment string) bool {
	segment, _, _ = strings.Cut(segment, ";")
	segment = strings.TrimFunc(segment, func(c rune) bool { return c <= ' ' || c == 0x7f })
	return segment == "." || segment == ".."
}

// fold writes a path as an app does that takes overlong UTF-8 or compatibility
// forms of dots and slashes for the plain ones.
func fold(path string) string { return folder.Replace(path) }

var folder = strings.NewReplacer(
	"\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`,
	"\uff0e", ".", "\u2024", ".", "\u2025", "..", "\uff0f", "/", "\uff3c", `\`,
)

// unescape decodes the escapes of a path once. What is no escape stays. plain
// reports whether one stood for a sign that needs none (RFC 3986, section 2.3).
func unescape(path string) (decoded string, plain bool) {
	if strings.IndexByte(path, '%') < 0 {
		return path, false
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			high, low := digit(path[i+1]), digit(path[i+2])
			if high >= 0 && low >= 0 {
				c := byte(high<<4 | low)
				plain = plain || unreserved(c)
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String(), plain
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
