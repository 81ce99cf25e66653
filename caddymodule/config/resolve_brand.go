package config

import (
	"encoding/base64"
	"net/mail"
	"net/url"
	"os"
	"strings"

	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/usertext"
)

// maxBrandName bounds the name of a brand, in characters.
const maxBrandName = 40

// brand resolves whose pages they are. The logo is read here, and is part of the
// key of the settings: a changed file is taken up by a reload.
func (r *resolver) brand(c *BrandConfig) (b pages.Brand) {
	if c == nil {
		return b
	}
	if name := r.expand("brand name", c.Name); name != "" {
		line, err := usertext.Line(name, maxBrandName)
		if err != nil {
			r.fault("brand name", "%w", err)
		}
		b.Name = line
	}
	if text := r.expand("brand colour", c.Colour); text != "" {
		colour, ok := pages.ParseColour(text)
		if !ok {
			r.fault("brand colour", "%q is not a colour such as 2456c8", text)
		}
		b.Colour = colour
	}
	b.Logo = r.logo(r.expand("brand logo", c.Logo))
	b.Imprint = r.brandLink("imprint", c.Imprint, false)
	b.Privacy = r.brandLink("privacy", c.Privacy, false)
	b.Support = r.brandLink("support", c.Support, true)
	return b
}

// logo reads a file, or a data URL (RFC 2397) in base64.
func (r *resolver) logo(source string) *pages.Logo {
	if source == "" {
		return nil
	}
	var content []byte
	var err error
	if data, inline := strings.CutPrefix(source, "data:"); inline {
		media, encoded, _ := strings.Cut(data, ",")
		if !strings.HasPrefix(media, "image/") || !strings.HasSuffix(media, ";base64") {
			r.fault("brand logo", "a data URL must be of an image, in base64")
			return nil
		}
		content, err = base64.StdEncoding.DecodeString(encoded)
	} else {
		var info os.FileInfo
		if info, err = os.Stat(source); err == nil && info.Size() > pages.MaxLogo {
			r.fault("brand logo", "is larger than %d kB", pages.MaxLogo>>10)
			return nil
		}
		if err == nil {
			content, err = os.ReadFile(source)
		}
	}
	if err != nil {
		r.fault("brand logo", "%w", err)
		return nil
	}
	logo, err := pages.NewLogo(content)
	if err != nil {
		r.fault("brand logo", "%w", err)
		return nil
	}
	return logo
}

// brandLink is an absolute http or https URL or, where mail is allowed, an address
// of mail, which becomes a mailto URL (RFC 6068).
func (r *resolver) brandLink(option, raw string, mailAllowed bool) string {
	text := r.expand("brand "+option, raw)
	if text == "" {
		return ""
	}
	if mailAllowed {
		if address, err := mail.ParseAddress(strings.TrimPrefix(text, "mailto:")); err == nil && address.Name == "" {
			return (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(address.Address)}).String()
		}
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || !pages.SafeLink(u.String()) {
		wanted := "an http or https URL"
		if mailAllowed {
			wanted = "neither an http or https URL nor a mail address"
		} else {
			wanted = "not " + wanted
		}
		r.fault("brand "+option, "%q is %s", text, wanted)
		return ""
	}
	return u.String()
}

// hashableBrand is a brand for the key of the settings.
func hashableBrand(b pages.Brand) []string {
	logo := ""
	if b.Logo != nil {
		logo = string(b.Logo.Content)
	}
	return []string{b.Name, string(b.Colour), b.Imprint, b.Privacy, b.Support, logo}
}
