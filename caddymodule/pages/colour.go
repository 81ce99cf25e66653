package pages

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Colour is one of sRGB as #rrggbb in lower case; empty for none.
type Colour string

// The colours that the style sheet sets text on, or in.
const (
	ownColour  Colour = "#2456c8"
	white      Colour = "#ffffff"
	black      Colour = "#000000"
	lightPaper Colour = "#f3f5f9" // the darkest of what is light
	darkCard   Colour = "#191f2b" // the lightest of what is dark
)

// enough is the contrast that text needs (WCAG 2.2, 1.4.3).
const enough = 4.5

var hexColour = regexp.MustCompile(`^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$`)

// ParseColour reads rgb or rrggbb in hexadecimal, with or without a # in front,
// which begins a comment in a Caddyfile.
func ParseColour(text string) (Colour, bool) {
	if !hexColour.MatchString(text) {
		return "", false
	}
	text = "#" + strings.ToLower(strings.TrimPrefix(text, "#"))
	if len(text) == 4 {
		text = fmt.Sprintf("#%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", text[1], text[2], text[3])
	}
	return Colour(text), true
}

// channels are red, green and blue, 0 to 255.
func (c Colour) channels() (rgb [3]float64) {
	for i := range rgb {
		n, _ := strconv.ParseUint(string(c[1+2*i:3+2*i]), 16, 8)
		rgb[i] = float64(n)
	}
	return rgb
}

// luminance is the relative one of WCAG 2.2.
func (c Colour) luminance() float64 {
	var linear [3]float64
	for i, v := range c.channels() {
		v /= 255
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// Contrast is the ratio of two colours, 1 to 21 (WCAG 2.2).
func (c Colour) Contrast(other Colour) float64 {
	a, b := c.luminance(), other.luminance()
	return (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05)
}

// mixed is the colour with a share of another one, 0 to 1.
func (c Colour) mixed(other Colour, share float64) Colour {
	a, b := c.channels(), other.channels()
	for i := range a {
		a[i] = math.Round(a[i]*(1-share) + b[i]*share)
	}
	return Colour(fmt.Sprintf("#%02x%02x%02x", int(a[0]), int(a[1]), int(a[2])))
}

// readableOn is the colour, or the first on its way to black or white that text
// can have on a ground.
func (c Colour) readableOn(ground, toward Colour) Colour {
	for share := 0.0; share < 1; share += 0.02 {
		if shade := c.mixed(toward, share); shade.Contrast(ground) >= enough {
			return shade
		}
	}
	return toward
}

// textOn is white or black, whichever reads better on the colour; one of them
// always has enough contrast.
func (c Colour) textOn() Colour {
	if c.Contrast(white) >= enough || c.Contrast(white) >= c.Contrast(black) {
		return white
	}
	return black
}

// style sets the colour where the style sheet takes its own: buttons have it as
// it is, with text that reads on it; text has a shade that reads on the page.
func (c Colour) style() template.CSS {
	if c == "" {
		return ""
	}
	light, dark := c.readableOn(lightPaper, black), c.readableOn(darkCard, white)
	return template.CSS(fmt.Sprintf( // #nosec G203 -- of hexadecimal digits
		"\n:root{--button:%s;--on-button:%s;--accent:%s;--on-accent:%s}@media (prefers-color-scheme:dark){:root{--button:%s;--on-button:%s;--accent:%s;--on-accent:%s}}\n",
		c, c.textOn(), light, light.textOn(), c, c.textOn(), dark, dark.textOn()))
}
