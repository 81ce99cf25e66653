package request

import (
	"strings"
	"unicode/utf8"
)

// Printable makes a text from a client fit to be stored or echoed: valid UTF-8
// without control characters, of at most n bytes.
func Printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
