// Package usertext says what people may write where others read it: names,
// descriptions, messages. A text holds no control and no bidirectional
// formatting character, so that it cannot draw on a terminal or reorder what
// stands beside it, has something to see, and stacks no more marks on a
// character than languages do.
package usertext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Reason is why a text is refused: words that follow the name of a field.
type Reason string

// The reasons.
const (
	Control Reason = "must not contain control or formatting characters"
	Blank   Reason = "must contain a visible character"
	Stacked Reason = "must not stack marks on a character"
	TooLong Reason = "is too long"
)

func (r Reason) Error() string { return string(r) }

const (
	// maxMarks is how many marks may stand on one character (UTS 39, section 5.4).
	maxMarks = 4
	// maxCluster bounds what is shown as one character, in code points: the
	// longest emoji have ten.
	maxCluster = 16
)

// Line checks one line of text of at most limit characters as people count
// them (UAX 29), and returns it without the blanks around it. An empty one is
// no fault. The error is a [Reason].
func Line(text string, limit int) (string, error) {
	text = strings.Trim(text, " ")
	if !utf8.ValidString(text) || strings.ContainsFunc(text, forbidden) {
		return "", Control
	}
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	if !strings.ContainsFunc(text, visible) {
		return "", Blank
	}
	n := 0
	for clusters := uniseg.NewGraphemes(text); clusters.Next(); {
		if n++; n > limit {
			return "", TooLong
		}
		if runes := clusters.Runes(); len(runes) > maxCluster || marks(runes) > maxMarks {
			return "", Stacked
		}
	}
	return text, nil
}

// Message is Line for a text of several lines, whose breaks become blanks.
func Message(text string, limit int) (string, error) {
	return Line(unbroken.Replace(strings.TrimSpace(text)), limit)
}

// Clean makes a line of at most limit bytes out of what a program sent: blanks
// for line breaks and tabs, and without what [Line] would refuse.
func Clean(text string, limit int) string {
	text = unbroken.Replace(strings.ToValidUTF8(text, ""))
	var b strings.Builder
	stacked := 0
	for _, r := range text {
		if unicode.In(r, unicode.Mn, unicode.Me) {
			stacked++
		} else {
			stacked = 0
		}
		if forbidden(r) || r == utf8.RuneError || stacked > maxMarks {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

var unbroken = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ", "\u2028", " ", "\u2029", " ", "\u0085", " ")

// forbidden holds for what changes how the text around it is shown: control
// characters, line and paragraph separators, formatting ones but for those that
// join letters and emoji, private and no characters.
func forbidden(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d' || r >= 0xe0020 && r <= 0xe007f: // joiners, tags of flags
		return false
	case r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef: // noncharacters
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}

// visible holds for what puts ink on the page by itself.
func visible(r rune) bool {
	return !forbidden(r) && r != '\u2800' &&
		!unicode.In(r, unicode.Cf, unicode.M, unicode.Z, unicode.Other_Default_Ignorable_Code_Point)
}

func marks(cluster []rune) (n int) {
	for _, r := range cluster {
		if unicode.In(r, unicode.Mn, unicode.Me) {
			n++
		}
	}
	return n
}
