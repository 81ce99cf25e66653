package address

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Reason is why an address is refused: words that follow the name of a field.
type Reason string

// The reasons.
const (
	NoAddress     Reason = "must be an email"
	MixedScripts  Reason = "must not mix scripts before the @"
	Compatibility Reason = "must not hold compatibility characters, such as full-width letters, before the @"
	Invisible     Reason = "must not hold invisible characters"
	BadDomain     Reason = "must have a valid domain name after the @"
)

func (r Reason) Error() string { return "email " + string(r) }

// Lengths of RFC 5321, section 4.5.3.1, in bytes.
const (
	maxLocal = 64
	maxAll   = 254
)

// domains maps names to ASCII as browsers do, case and width included. Names
// with hyphens in the third and fourth place are in use.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true),
	idna.CheckHyphens(false), idna.VerifyDNSLength(true), idna.Transitional(false))

// Canonical returns the form of an address that is stored and compared. The
// error is a [Reason].
func Canonical(raw string) (string, error) {
	text := strings.TrimSpace(raw)
	at := strings.LastIndexByte(text, '@')
	if at < 1 || !utf8.ValidString(text) || len(text) > 4*maxAll {
		return "", NoAddress
	}
	local, domain := lower(text[:at]), text[at+1:]
	if strings.ContainsFunc(local, invisible) {
		return "", Invisible
	}
	ascii, err := domains.ToASCII(domain)
	if err != nil {
		return "", BadDomain
	}
	canonical := local + "@" + strings.ToLower(ascii)
	parsed, err := mail.ParseAddress(canonical)
	if strings.HasSuffix(ascii, ".") {
		return "", BadDomain
	}
	if err != nil || parsed.Address != canonical || len(local) > maxLocal || len(canonical) > maxAll ||
		strings.ContainsAny(canonical, `"[`) {
		return "", NoAddress
	}
	switch {
	case norm.NFKC.String(local) != local:
		return "", Compatibility
	case !singleScript(local):
		return "", MixedScripts
	}
	return canonical, nil
}

// Lookup returns the form under which an account may be found: the canonical
// one, and for what has none the spelling that older versions stored.
func Lookup(raw string) string {
	if canonical, err := Canonical(raw); err == nil {
		return canonical
	}
	text := strings.ToLower(strings.TrimSpace(strings.ToValidUTF8(raw, "")))
	text = strings.ReplaceAll(text, "\x00", "")
	for len(text) > maxAll {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// lower is stable: lower case may have another composition.
func lower(text string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(text)))
}

// invisible reports what shows nothing: control and format characters, blanks,
// private and ignorable ones. Those of ASCII have no place in an address anyway.
func invisible(r rune) bool {
	return r >= utf8.RuneSelf && unicode.In(r, unicode.C, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		r == '\u2800' // the blank Braille pattern
}
