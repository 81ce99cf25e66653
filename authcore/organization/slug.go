package organization

import (
	"strconv"
	"strings"
	"unicode"

	"mana.how/edge/internal/ids"
)

// MaxSlug is how long a slug may be, in bytes.
const MaxSlug = 255

// Slug is the name of an organisation as a part of a URL: lower case, without
// everything but ASCII letters, digits, underscores, blanks and hyphens, blanks
// as hyphens, and one hyphen for several. It is empty where nothing is left.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_':
			b.WriteRune(r)
		case unicode.IsSpace(r), r == '-':
			if text := b.String(); text != "" && !strings.HasSuffix(text, "-") {
				b.WriteByte('-')
			}
		}
	}
	return strings.Trim(cut(b.String(), MaxSlug), "-")
}

// ValidSlug reports whether a text is a slug as [Slug] makes them.
func ValidSlug(text string) bool { return text != "" && Slug(text) == text }

// slugTries is how many slugs are looked at with one question.
const slugTries = 20

// slugsFor are slugs for a name, the best first: its own, then with a number,
// and at last with something random, which nobody has.
func slugsFor(name string) []string {
	base := cut(Slug(name), MaxSlug-12)
	if base == "" {
		base = "organization"
	}
	list := []string{base}
	for n := 2; n <= slugTries; n++ {
		list = append(list, base+"-"+strconv.Itoa(n))
	}
	return append(list, base+"-"+strings.ToLower(ids.New()[:10]))
}

func cut(text string, n int) string { return text[:min(len(text), n)] }
