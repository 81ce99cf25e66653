package coupon

import (
	"crypto/rand"
	"strings"
)

// Code is what a coupon is redeemed by, in the form in which codes are compared:
// capitals and digits, without what separates its parts.
type Code string

// A code has more characters than that of a gift, so that one field takes both.
const (
	leastCode, mostCode = 8, 40
	// alphabet has 32 letters, none of which look alike: no I, O, 0, 1.
	alphabet  = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	madeGroup = 4 // characters of each of the three parts of a code that is made
)

// ParseCode reads a code in any case (of ASCII), with hyphens and blanks anywhere.
// What cannot be one is not ok.
func ParseCode(text string) (code Code, ok bool) {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '-' || c == ' ':
			continue
		case 'a' <= c && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			b.WriteByte(c)
		default:
			return "", false
		}
	}
	if b.Len() < leastCode || b.Len() > mostCode {
		return "", false
	}
	return Code(b.String()), true
}

// makeCode is a code of 60 random bits, in three parts.
func makeCode() string {
	b := make([]byte, 3*madeGroup)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%byte(len(alphabet))] // 256 is a multiple of 32
	}
	return string(b[:madeGroup]) + "-" + string(b[madeGroup:2*madeGroup]) + "-" + string(b[2*madeGroup:])
}
