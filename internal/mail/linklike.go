package mail

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// Mail programs turn into links what looks like an address of the web or of
// mail, and some of them are generous about it.
var (
	linkForm = regexp.MustCompile(`(?i)//|\\\\|www\.|` +
		`\.[\p{L}\p{N}-]*\p{L}{2}|` + // evil.example
		`\d{1,3}(?:\.\d{1,3}){3}|` + // 192.0.2.10
		`@[\p{L}\p{N}]|` +
		`\b(?:https?|ftp|file|mailto|tel|sms|data|javascript|vbscript):`)
	dots = strings.NewReplacer("。", ".", "｡", ".", "．", ".", "․", ".")
)

// linkLike reports whether a text holds something that a mail program could
// turn into a link.
func linkLike(text string) bool { return linkForm.MatchString(plainForm(text)) }

// plainForm is a text as programs read it that look for links: compatibility
// forms resolved, and without what is not seen.
func plainForm(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKC.String(dots.Replace(text)))
	return dots.Replace(text)
}

// hostLike is [linkLike] for the local part of an address, where a dot between
// names is common: the last of them must be a real top-level domain.
func hostLike(local string) bool {
	text := strings.ToLower(plainForm(local))
	if !linkLike(text) {
		return false
	}
	host := strings.Trim(text, ".")
	if !strings.Contains(host, ".") || strings.Contains(host, "//") || strings.Contains(host, "www.") {
		return true
	}
	_, known := publicsuffix.PublicSuffix(host)
	return known
}

// apart puts a blank into what makes a link.
var apart = regexp.MustCompile(`(?i)([./\\@:])([^\s.])`)

// inert is a text without anything that a mail program could turn into a link;
// one that has nothing such stays as it is.
func inert(text string) string {
	if !linkLike(text) {
		return text
	}
	text = plainForm(text)
	for range 2 { // matches that overlap
		text = apart.ReplaceAllString(text, "$1 $2")
	}
	if linkLike(text) {
		return ""
	}
	return text
}
