package address

import (
	"unicode"
	"unicode/utf8"
)

// families are scripts that are written together (UTS 39, section 5.1: the
// augmented script sets).
var families = [][]string{
	{"Han", "Hiragana", "Katakana"},
	{"Han", "Hangul"},
	{"Han", "Bopomofo"},
}

// singleScript reports whether all characters that belong to a script belong
// to one, or to scripts that are written together.
func singleScript(text string) bool {
	used := map[string]bool{}
	for _, r := range text {
		if name := scriptOf(r); name != "" {
			used[name] = true
		}
	}
	if len(used) <= 1 {
		return true
	}
	for _, family := range families {
		known := 0
		for _, name := range family {
			if used[name] {
				known++
			}
		}
		if known == len(used) {
			return true
		}
	}
	return false
}

// scriptOf names the script of a character; those that every script shares
// have none.
func scriptOf(r rune) string {
	if r < utf8.RuneSelf {
		if unicode.IsLetter(r) {
			return "Latin"
		}
		return ""
	}
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return ""
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "Unknown"
}
