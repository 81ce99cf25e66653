package pages

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Language is one the pages are written in, as its tag (RFC 5646).
type Language string

// The languages there are.
const (
	German  Language = "de"
	English Language = "en"
)

var languages = []Language{German, English}

// Named is the language of a tag that is one of ours, in lower case.
func Named(tag string) (l Language, ok bool) {
	l = Language(tag)
	return l, slices.Contains(languages, l)
}

// LanguageOf picks the language an Accept-Language header prefers (RFC 9110,
// section 12.5.4), English where it names none of ours.
func LanguageOf(header string) Language {
	best, weight := English, 0.0
	for i, entry := range strings.Split(header, ",") {
		if i == 32 {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(entry), ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(value, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		for _, lang := range languages {
			if primary == string(lang) && q > weight {
				best, weight = lang, q
			}
		}
	}
	return best
}

// Writes reports whether the pages are written in the language of a tag.
func Writes(tag string) bool {
	for _, lang := range languages {
		if tag == string(lang) {
			return true
		}
	}
	return false
}

// text is the text of a key. An unknown key is its own text, so that a
// missing one shows.
func (l Language) text(key string) string {
	for _, table := range [...]map[string]translated{texts, accountTexts, creditTexts, organizationTexts, openidTexts, providerTexts, deskTexts} {
		if s, ok := table[key]; ok {
			return s[l]
		}
	}
	return key
}

// fault is the text of an error's code, a general one where it has none.
func (l Language) fault(code string) string {
	for _, table := range [...]map[string]translated{faultTexts, accountFaultTexts, creditFaultTexts, organizationFaultTexts, openidFaultTexts, providerFaultTexts, deskFaultTexts} {
		if s, ok := table[code]; ok {
			return s[l]
		}
	}
	return faultTexts["INTERNAL"][l]
}

// when writes a time for people, in UTC. The zero time is a dash.
func (l Language) when(t time.Time) string {
	switch {
	case t.IsZero():
		return "–"
	case l == German:
		return t.UTC().Format("02.01.2006, 15:04 UTC")
	}
	return t.UTC().Format("2 Jan 2006, 15:04 UTC")
}
