package config_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/pages"
)

const svgLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"/>`

func logoFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBrand(t *testing.T) {
	t.Parallel()
	for name, logo := range map[string]string{
		"file": logoFile(t, svgLogo), "data": "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svgLogo)),
	} {
		s, err := config.Config{
			BaseURL: "https://auth.example.com",
			Brand: &config.BrandConfig{
				Name: " {env.NAME} ", Logo: logo, Colour: "#ABC", Imprint: "https://example.com/imprint", Privacy: "http://example.com", Support: "help@example.com",
			},
		}.ResolveWith(nil)
		if err != nil {
			t.Fatal(name, err)
		}
		b := s.Brand
		if b.Colour != "#aabbcc" || b.Logo == nil || string(b.Logo.Content) != svgLogo || b.Imprint != "https://example.com/imprint" || b.Privacy != "http://example.com" || b.Support != "mailto:help@example.com" {
			t.Errorf("%s: %+v", name, b)
		}
	}
	s, err := config.Config{BaseURL: "https://auth.example.com", Brand: &config.BrandConfig{Name: "Teahouse", Support: "https://example.com/help"}}.ResolveWith(nil)
	if err != nil || s.Brand.Title() != "Teahouse" || s.Brand.Support != "https://example.com/help" || s.Auth().Name != "Teahouse" {
		t.Errorf("%+v, %v", s.Brand, err)
	}
	if s, err = (config.Config{BaseURL: "https://auth.example.com"}).ResolveWith(nil); err != nil || s.Brand != (pages.Brand{}) || s.Brand.Title() != "Mana" {
		t.Errorf("%+v, %v", s.Brand, err)
	}
}

func TestBrandFaults(t *testing.T) {
	t.Parallel()
	_, err := config.Config{
		BaseURL: "https://auth.example.com",
		Brand: &config.BrandConfig{
			Name: strings.Repeat("x", 41), Logo: "/no/such/file", Colour: "blue", Imprint: "javascript:alert(1)", Privacy: "/privacy", Support: "call us",
		},
	}.ResolveWith(nil)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"brand name: ", "brand logo: stat /no/such/file", `brand colour: "blue" is not a colour`, `brand imprint: "javascript:alert(1)" is not an http`,
		`brand privacy: "/privacy" is not an http`, `brand support: "call us" is neither`,
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("no fault that begins with %q in:\n%v", want, err)
		}
	}
	for logo, want := range map[string]string{
		logoFile(t, strings.Repeat(" ", pages.MaxLogo+1)): "larger than 24 kB",
		logoFile(t, `<svg xmlns="x"><script/></svg>`):     "is no SVG",
		logoFile(t, "hello"):                              "neither SVG nor PNG nor WebP",
		"data:text/html;base64,PHA+":                      "must be of an image",
		"data:image/png,x":                                "in base64",
		"data:image/png;base64,!":                         "illegal base64",
		t.TempDir():                                       "brand logo:",
		"https://cdn.example.com/logo.png":                "no such file",
		"data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`)): "element script",
	} {
		_, err := config.Config{BaseURL: "https://auth.example.com", Brand: &config.BrandConfig{Logo: logo}}.ResolveWith(nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "brand logo:") {
			t.Errorf("%.40s: %v, want %q", logo, err, want)
		}
	}
}

// Each part of a brand makes another runtime: its mails are others.
func TestBrandIsPartOfTheKey(t *testing.T) {
	t.Parallel()
	resolve := func(b *config.BrandConfig) config.Settings {
		s, err := config.Config{BaseURL: "https://auth.example.com", Brand: b}.ResolveWith(nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := resolve(nil)
	if !config.SameRuntime(plain, resolve(&config.BrandConfig{})) {
		t.Error("an empty block changes the key")
	}
	for _, b := range []*config.BrandConfig{
		{Name: "A"}, {Colour: "#000"}, {Imprint: "https://a.test"}, {Privacy: "https://a.test"}, {Support: "https://a.test"}, {Logo: logoFile(t, svgLogo)},
	} {
		if config.SameRuntime(plain, resolve(b)) || !config.SameRuntime(resolve(b), resolve(b)) {
			t.Errorf("%+v", b)
		}
	}
}
