package usertext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes a text safe to be shown on a terminal or in a log: what is not
// printable, formats, or is a mark too many is written as \u followed by its
// code point.
func Escape(text string) string { return escape(text, `\u{%x}`) }

// EscapeJSON does so for JSON that is written already; what it changes stands
// within strings, and means the same.
func EscapeJSON(text string) string { return escape(text, `\u%04x`) }

func escape(text, form string) string {
	var b strings.Builder
	stacked := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if unicode.In(r, unicode.Mn, unicode.Me) {
			stacked++
		} else {
			stacked = 0
		}
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, form, text[i])
		case r == '\n' && form != `\u{%x}`, unicode.IsPrint(r) && stacked <= maxMarks && r != '\u2800' && r != '\u3164':
			b.WriteRune(r)
		case r > 0xffff && form != `\u{%x}`:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, form+form, high, low)
		default:
			fmt.Fprintf(&b, form, r)
		}
		i += size
	}
	return b.String()
}
