package pages

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultName is that of a brand that names none.
const DefaultName = "Mana"

// Brand is whose pages they are. The zero Brand is that of this program.
type Brand struct {
	Name string // DefaultName where empty
	Logo *Logo  // nil: an icon of this program
	// Colour of buttons, links and focus. Where it is too faint for text, text has
	// a darker or, on dark pages, a lighter one of its kind.
	Colour Colour
	// Imprint and Privacy are http or https URLs, Support one or a mailto. Empty
	// ones are not shown.
	Imprint, Privacy, Support string
}

// Title is what the brand is called.
func (b Brand) Title() string { return cmp.Or(b.Name, DefaultName) }

// Icon is the icon of the pages, as SVG: in the colour of the brand and, where it
// has a name of its own, with the first letter of that.
func (b Brand) Icon() []byte {
	icon := bytes.TrimSpace(iconSVG)
	if b.Name == "" && b.Colour == "" {
		return icon
	}
	fill := cmp.Or(b.Colour, ownColour)
	if b.Name == "" || b.Name == DefaultName {
		return bytes.ReplaceAll(bytes.ReplaceAll(icon, []byte(ownColour), []byte(fill)), []byte(`"#fff"`), []byte(`"`+fill.textOn()+`"`))
	}
	first, _ := utf8.DecodeRuneInString(b.Name)
	var letter bytes.Buffer
	template.HTMLEscape(&letter, []byte(string(unicode.ToUpper(first))))
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="%s"/>`+
		`<text x="16" y="22.5" font-family="system-ui,sans-serif" font-size="19" font-weight="700" text-anchor="middle" fill="%s">%s</text></svg>`,
		fill, fill.textOn(), &letter)
}

// logoHeight is that of a logo in the header, in CSS pixels.
const logoHeight = 32

// Shown is the picture before the name: the logo, or the icon.
func (b Brand) Shown() *Logo {
	if b.Logo != nil {
		return b.Logo
	}
	return &Logo{Type: "image/svg+xml", Content: b.Icon()}
}

// mark is that picture in a page.
type mark struct {
	URL           template.URL
	Type          string
	Width, Height int // CSS pixels
}

// mark is for pages at home, or for those on other sites, which hold it.
func (b Brand) mark(away bool) mark {
	logo := b.Shown()
	shown := mark{template.URL(logo.Path()), logo.Type, logo.width(), logoHeight} // #nosec G203 -- a path of hexadecimal digits
	if away {
		shown.URL = dataURL(logo.Type, logo.Content)
	}
	return shown
}

// dataURL is a picture as a URL (RFC 2397).
func dataURL(media string, content []byte) template.URL {
	return template.URL("data:" + media + ";base64," + base64.StdEncoding.EncodeToString(content)) // #nosec G203 -- a checked picture
}

// link is one of the footer.
type link struct {
	Text string // key
	URL  template.URL
}

// links are those of the footer. Their schemes were checked with the config.
func (b Brand) links() (list []link) {
	for _, l := range []struct{ text, url string }{{"footer.imprint", b.Imprint}, {"footer.privacy", b.Privacy}, {"footer.support", b.Support}} {
		if SafeLink(l.url) {
			list = append(list, link{l.text, template.URL(l.url)}) // #nosec G203 -- of a safe scheme
		}
	}
	return list
}

// SafeLink reports whether a URL may stand in the footer: http, https or mailto.
func SafeLink(raw string) bool {
	for _, scheme := range []string{"https://", "http://", "mailto:"} {
		if len(raw) > len(scheme) && strings.EqualFold(raw[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}
