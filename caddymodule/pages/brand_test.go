package pages_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"regexp"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/pages"
)

func render(t *testing.T, p *pages.Pages, v pages.View) string {
	t.Helper()
	out, _, err := p.Show(pages.Visit{Language: pages.English, Query: map[string][]string{"returnUrl": {attack}}}, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func newPages(t *testing.T) *pages.Pages {
	t.Helper()
	p, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black})); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every page names the brand, shows its logo in its proportions, and has its links.
func TestBrandIsOnEveryPage(t *testing.T) {
	t.Parallel()
	logo, err := pages.NewLogo(pngOf(t, 300, 100))
	if err != nil {
		t.Fatal(err)
	}
	p := newPages(t).With(pages.Brand{
		Name: `Tea & "Cake"`, Logo: logo, Colour: "#00aa88", Imprint: "https://example.test/imprint?a=1&b", Privacy: "https://example.test/privacy", Support: "mailto:help@example.test",
	})
	for _, v := range views() {
		page := render(t, p, v)
		for _, want := range []string{
			"· Tea &amp; &#34;Cake&#34;</title>", `src="` + logo.Path() + `" alt="" width="96" height="32"`, "--button:#00aa88",
			`href="https://example.test/imprint?a=1&amp;b"`, `href="https://example.test/privacy"`, `href="mailto:help@example.test"`,
			`href="#main"`, `<main id="main"`, `lang="en"`, `hreflang="de"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%T has no %s", v, want)
			}
		}
		away, _, err := p.RenderAway(pages.German, v, "https://auth.example.test")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(away), logo.Path()) || strings.Contains(string(away), `hreflang=`) || !strings.Contains(string(away), `src="data:image/png;base64,`) {
			t.Errorf("%T on another site needs something from it", v)
		}
		if strings.Contains(page, "Mana<") || strings.Contains(page, "Mana ·") {
			t.Errorf("%T names Mana", v)
		}
	}
}

// Links of a brand that no config check has seen do nothing.
func TestFooterLinksAreSafe(t *testing.T) {
	t.Parallel()
	page := render(t, newPages(t).With(pages.Brand{Name: attack, Imprint: "javascript:alert(1)", Privacy: "//evil.test", Support: "data:text/html,x"}), pages.Login{})
	if strings.Contains(page, "javascript:") || strings.Contains(page, "evil.test") || strings.Contains(page, "data:text") || strings.Contains(page, "<script") {
		t.Error(page)
	}
}

// The choice of a language leads to the same page, and to no other host whatever
// the path is.
func TestLanguageChoice(t *testing.T) {
	t.Parallel()
	page := render(t, newPages(t), pages.Login{})
	found := regexp.MustCompile(`<a href="([^"]*)" hreflang="(\w+)" lang="\w+"( aria-current="true")?>`).FindAllStringSubmatch(page, -1)
	if len(found) != 2 || found[0][2] != "de" || found[1][3] == "" || found[0][3] != "" {
		t.Fatalf("%q", found)
	}
	if !strings.HasPrefix(found[0][1], "?lang=de&amp;returnUrl=") {
		t.Errorf("leads to %q", found[0][1])
	}
	if out, _, err := newPages(t).Render(pages.German, pages.Login{}); err != nil || strings.Contains(string(out), "hreflang") {
		t.Errorf("a page that cannot be asked for again offers languages: %v", err)
	}
}

// Text of any brand's colour can be read on the grounds it stands on, and so can
// text on its buttons (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	t.Parallel()
	rules := regexp.MustCompile(`--button:(#\w+);--on-button:(#\w+);--accent:(#\w+);--on-accent:(#\w+)`)
	steps := []string{"00", "33", "66", "80", "99", "cc", "ff"}
	p := newPages(t)
	for _, r := range steps {
		for _, g := range steps {
			for _, b := range steps {
				colour, ok := pages.ParseColour(r + g + b)
				if !ok {
					t.Fatal(r, g, b)
				}
				found := rules.FindAllStringSubmatch(render(t, p.With(pages.Brand{Colour: colour}), pages.Loop{}), -1)
				if len(found) != 2 {
					t.Fatalf("%s: %q", colour, found)
				}
				for i, grounds := range [][]pages.Colour{{"#ffffff", "#f3f5f9"}, {"#191f2b", "#10141c"}} {
					button, onButton, accent, onAccent := pages.Colour(found[i][1]), pages.Colour(found[i][2]), pages.Colour(found[i][3]), pages.Colour(found[i][4])
					if button != colour || onButton.Contrast(button) < 4.5 || onAccent.Contrast(accent) < 4.5 {
						t.Errorf("%s: %s on %s, %s on %s", colour, onButton, button, onAccent, accent)
					}
					for _, ground := range grounds {
						if accent.Contrast(ground) < 4.5 {
							t.Errorf("%s: %s on %s has %.2f", colour, accent, ground, accent.Contrast(ground))
						}
					}
				}
			}
		}
	}
	for text, want := range map[string]pages.Colour{"#ABC": "#aabbcc", "#2456C8": "#2456c8", "red": "", "#12": "", "#2456c8;}": "", "": "", "#ggg": ""} {
		if got, ok := pages.ParseColour(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// The colours of the style sheet itself pass too.
func TestOwnColours(t *testing.T) {
	t.Parallel()
	page := render(t, newPages(t), pages.Login{})
	sheets := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(page, 2)
	for i, sheet := range sheets {
		colours := map[string]pages.Colour{}
		for _, m := range regexp.MustCompile(`--([\w-]+): (#\w+)`).FindAllStringSubmatch(sheet, -1) {
			colour, _ := pages.ParseColour(m[2])
			colours[m[1]] = colour
		}
		for _, pair := range [][2]string{
			{"ink", "paper"}, {"ink", "card"}, {"soft", "paper"}, {"soft", "card"}, {"accent", "paper"}, {"accent", "card"},
			{"on-button", "button"}, {"bad", "bad-paper"}, {"bad", "card"}, {"good", "good-paper"}, {"good", "card"}, {"accent", "good-paper"}, {"accent", "bad-paper"},
		} {
			if got := colours[pair[0]].Contrast(colours[pair[1]]); got < 4.5 {
				t.Errorf("%d: %v has a contrast of %.2f", i, pair, got)
			}
		}
		if got := colours["edge"].Contrast(colours["card"]); got < 3 {
			t.Errorf("%d: the edge of fields has a contrast of %.2f", i, got)
		}
	}
	if len(sheets) != 2 {
		t.Error("not both schemes")
	}
}

func TestLogos(t *testing.T) {
	t.Parallel()
	svg := func(inside string) string {
		return `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 200 100">` + inside + `</svg>`
	}
	for name, c := range map[string]struct{ content, media, fault string }{
		"png":                 {string(pngOf(t, 10, 10)), "image/png", ""},
		"svg":                 {svg(`<defs><linearGradient id="a"/></defs><style>.a{fill:url(#a)}</style><rect class="a" width="9" fill="url('#a')"/>`), "image/svg+xml", ""},
		"script":              {svg(`<script>alert(1)</script>`), "", "element script"},
		"SCRIPT":              {svg(`<g><ScRipt href="data:,x"/></g>`), "", "element ScRipt"},
		"handler":             {svg(`<rect onload="alert(1)"/>`), "", "attribute onload"},
		"foreign content":     {svg(`<foreignObject/>`), "", "element foreignObject"},
		"link":                {svg(`<a href="#x"/>`), "", "element a"},
		"image of elsewhere":  {svg(`<image xlink:href="https://evil.test/x.png"/>`), "", "elsewhere"},
		"use of elsewhere":    {svg(`<use href="//evil.test/x.svg#a"/>`), "", "elsewhere"},
		"paint of elsewhere":  {svg(`<rect fill="url( https://evil.test/x#a )"/>`), "", "elsewhere"},
		"style of elsewhere":  {svg(`<style>@import "https://evil.test"</style>`), "", "elsewhere"},
		"escaped style":       {svg(`<style>@\69mport "https://evil.test"</style>`), "", "elsewhere"},
		"second url":          {svg(`<style>a{fill:url(#a);src:url(//evil.test)}</style>`), "", "elsewhere"},
		"javascript":          {svg(`<use href="javascript:alert(1)"/>`), "", "elsewhere"},
		"entities":            {`<!DOCTYPE svg [<!ENTITY a "b">]>` + svg(""), "", "document type"},
		"style sheet":         {`<?xml-stylesheet href="x"?>` + svg(""), "", "processing instruction"},
		"no SVG":              {`<html><svg></svg></html>`, "", "is no SVG"},
		"broken":              {svg(`<rect`), "", "cannot be read"},
		"text":                {"hello", "", "neither SVG nor PNG nor WebP"},
		"no PNG":              {"\x89PNG\r\n\x1a\nnope", "", "cannot be read"},
		"no WebP":             {"RIFF....WEBPnope", "", "cannot be read"},
		"large":               {svg(strings.Repeat(" ", pages.MaxLogo)), "", "larger than 24 kB"},
		"more than its first": {svg("") + svg(""), "image/svg+xml", ""},
	} {
		logo, err := pages.NewLogo([]byte(c.content))
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		case c.fault == "" && (err != nil || logo.Type != c.media):
			t.Errorf("%s: %v %v", name, logo, err)
		}
	}
	wide, err := pages.NewLogo([]byte(svg("")))
	if err != nil {
		t.Fatal(err)
	}
	if page := render(t, newPages(t).With(pages.Brand{Logo: wide}), pages.Login{}); !strings.Contains(page, `width="64" height="32"`) {
		t.Errorf("a logo of 2:1: %.900s", page)
	}
}

func TestIconOfABrand(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"ärzte": ">Ä</text>", "<x": ">&lt;</text>"} {
		if got := string(pages.Brand{Name: name, Colour: "#ffff00"}.Icon()); !strings.Contains(got, want) || !strings.Contains(got, `fill="#ffff00"`) || !strings.Contains(got, `fill="#000000"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, b := range []pages.Brand{{}, {Name: "Ada"}, {Colour: "#123456"}, {Name: "<script>"}} {
		if _, err := pages.NewLogo(b.Icon()); err != nil {
			t.Errorf("%v: %v", b, err)
		}
	}
}

func TestWording(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	v := creditsView("x")
	for lang, wants := range map[pages.Language][]string{
		pages.German:  {"1.234,567 Credits", "0,02 Credits", "−0,001", "03.02.2026", "100,001"},
		pages.English: {"1,234.567 credits", "0.02 credits", "−0.001", "3 Feb 2026", "100.001"},
	} {
		out, _, err := p.Render(lang, v)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q", lang, want)
			}
		}
		if len(out) > 60_000 {
			t.Errorf("%s: %d bytes", lang, len(out))
		}
	}
	out, _, err := p.Render(pages.German, shopView("x"))
	if err != nil || !strings.Contains(string(out), "9,99\u00a0€") {
		t.Error("no prices", err)
	}
}
