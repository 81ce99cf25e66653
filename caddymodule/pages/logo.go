package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"strconv"
	"strings"

	"golang.org/x/image/webp"
)

// MaxLogo bounds a logo, in bytes. Pages on the sites of apps hold it, and they
// are to stay below 60 kB.
const MaxLogo = 24 << 10

// maxLogoSide bounds the sides of a logo in pixels.
const maxLogoSide = 4096

// Logo is a picture that stands before the name of the brand.
type Logo struct {
	Type          string // image/svg+xml, image/png or image/webp
	Content       []byte
	width0, high0 float64 // of the picture, in its own units
}

// NewLogo checks a picture by what is in it. An SVG must be inert: without
// scripts, handlers, foreign content, and without anything from elsewhere.
func NewLogo(content []byte) (*Logo, error) {
	if len(content) > MaxLogo {
		return nil, fmt.Errorf("is larger than %d kB", MaxLogo>>10)
	}
	l := &Logo{Content: content}
	var size image.Config
	var err error
	switch {
	case bytes.HasPrefix(content, []byte("\x89PNG\r\n\x1a\n")):
		l.Type = "image/png"
		size, err = png.DecodeConfig(bytes.NewReader(content))
	case len(content) > 12 && string(content[:4]) == "RIFF" && string(content[8:12]) == "WEBP":
		l.Type = "image/webp"
		size, err = webp.DecodeConfig(bytes.NewReader(content))
	case bytes.Contains(content, []byte("<svg")):
		l.Type = "image/svg+xml"
		l.width0, l.high0, err = checkSVG(content)
		return l, err
	default:
		return nil, errors.New("is neither SVG nor PNG nor WebP")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxLogoSide || size.Height > maxLogoSide {
		return nil, fmt.Errorf("has a side of no pixel, or of more than %d", maxLogoSide)
	}
	l.width0, l.high0 = float64(size.Width), float64(size.Height)
	return l, nil
}

// Path is where the hosted pages serve the logo: another one has another path.
func (l *Logo) Path() string {
	sum := sha256.Sum256(l.Content)
	return "/brand/" + hex.EncodeToString(sum[:12]) + map[string]string{"image/svg+xml": ".svg", "image/png": ".png", "image/webp": ".webp"}[l.Type]
}

// width is that in the header, in CSS pixels.
func (l *Logo) width() int {
	if l.width0 <= 0 || l.high0 <= 0 {
		return logoHeight
	}
	return int(min(max(logoHeight*l.width0/l.high0, 8), 6*logoHeight))
}

// svgSpace is the namespace of SVG.
const svgSpace = "http://www.w3.org/2000/svg"

// checkSVG reads the proportions of an SVG, and refuses one that is not inert.
// Pages show it as an image, which runs nothing anyway.
func checkSVG(content []byte) (width, height float64, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	root := true
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && !root {
			return width, height, nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("cannot be read: %w", err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return 0, 0, errors.New("has a document type")
		case xml.ProcInst:
			if token.Target != "xml" {
				return 0, 0, errors.New("has a processing instruction")
			}
		case xml.StartElement:
			if root {
				if token.Name.Local != "svg" || token.Name.Space != svgSpace {
					return 0, 0, errors.New("is no SVG")
				}
				width, height = sizeOf(token.Attr)
				root = false
			}
			if err := inert(token); err != nil {
				return 0, 0, err
			}
		case xml.CharData:
			if refersOut(string(token)) {
				return 0, 0, errors.New("takes something from elsewhere")
			}
		}
	}
}

// inert refuses an element that does something, or brings something.
func inert(e xml.StartElement) error {
	switch strings.ToLower(e.Name.Local) {
	case "script", "foreignobject", "iframe", "object", "embed", "audio", "video", "handler", "listener", "a":
		return fmt.Errorf("has an element %s", e.Name.Local)
	}
	for _, a := range e.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.TrimSpace(a.Value)
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("has an attribute %s", a.Name.Local)
		case (name == "href" || name == "src") && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/"):
			return errors.New("takes something from elsewhere")
		case a.Name.Space != "xmlns" && name != "xmlns" && refersOut(value):
			return errors.New("takes something from elsewhere")
		}
	}
	return nil
}

// refersOut reports whether CSS or a presentation attribute names what is not in
// the picture.
func refersOut(text string) bool {
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	if strings.Contains(text, "@import") || strings.Contains(text, "javascript:") || strings.Contains(text, `\`) {
		return true
	}
	for {
		_, after, found := strings.Cut(text, "url(")
		if !found {
			return false
		}
		if target := strings.TrimLeft(after, `"'`); !strings.HasPrefix(target, "#") && !strings.HasPrefix(target, "data:image/") {
			return true
		}
		text = after
	}
}

// sizeOf are the sides of an SVG in any unit: by its viewBox, else by width and
// height; zero where neither says.
func sizeOf(attributes []xml.Attr) (width, height float64) {
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(strings.TrimRight(strings.TrimSpace(text), "px"), 64)
		if err != nil || !(n > 0 && n < 1e6) {
			return 0
		}
		return n
	}
	for _, a := range attributes {
		switch a.Name.Local {
		case "viewBox":
			if box := strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' }); len(box) == 4 {
				return number(box[2]), number(box[3])
			}
		case "width":
			width = number(a.Value)
		case "height":
			height = number(a.Value)
		}
	}
	return width, height
}
